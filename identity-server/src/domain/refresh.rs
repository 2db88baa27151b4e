//! Refresh tokens: rotation, reuse, and the ten seconds in which a lost answer may be asked for again.
//!
//! A token is live, then spent into a successor. A spent token that comes back is either a client that lost our
//! answer — within [`GRACE`], and nobody has used the successor — or a thief, or the victim of one; then the whole
//! family ends (RFC 9700, section 4.14.2).

use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;

use crate::domain::client::ClientId;
use crate::domain::user::UserId;

shared_claims::id_type!(
    /// The identifier of a family: all refresh tokens that descend from one sign-in.
    FamilyId
);

/// Seconds after its spending in which a token may be presented again.
pub const GRACE: i64 = 10;
/// Seconds after its first token at which a family ends, however diligently it was refreshed.
pub const LONGEST_FAMILY: i64 = 30 * 24 * 60 * 60;

/// All refresh tokens that descend from one sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its identifier.
    pub id: FamilyId,
    /// The client that it is bound to.
    pub client: ClientId,
    /// Who signed in.
    pub user: UserId,
    /// What was granted at sign-in; later requests may narrow it, each for itself (RFC 6749, section 6).
    pub scope: ScopeSet,
    /// When the first token was made.
    pub created_at: UnixTime,
    /// When the family ends for good.
    pub expires_at: UnixTime,
    /// When it was revoked.
    pub revoked_at: Option<UnixTime>,
}

/// One refresh token, by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// SHA-256 of the token.
    pub digest: Digest,
    /// Its family.
    pub family: FamilyId,
    /// The scope of the access token that came with it.
    pub scope: ScopeSet,
    /// When it was made.
    pub issued_at: UnixTime,
    /// When it ends unused.
    pub expires_at: UnixTime,
    /// Where it is in its life.
    pub state: TokenState,
    /// `jti` of the access token that came with it, so that revoking the family reaches that one too.
    pub access_jti: String,
}

/// Where a refresh token is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Never presented.
    Live,
    /// Presented at a time, and replaced.
    Spent {
        /// When it was first presented, or replaced without having been.
        at: UnixTime,
        /// The token that replaced it.
        successor: Digest,
        /// Whether that one was itself replaced since.
        successor_spent: bool,
    },
}

/// What to do about a token that is presented and good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redemption {
    /// Spend it into a successor.
    Rotate,
    /// Its answer was lost: replace the successor, which nobody has used.
    Retry {
        /// The successor that the client never saw.
        unused: Digest,
    },
}

/// Why a refresh token buys nothing. All are `invalid_grant` but the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshRefused {
    /// Unknown, or not in the form of our tokens.
    Unknown,
    /// Another client's. Told apart in the log only.
    OtherClient,
    /// It or its family has expired.
    Expired,
    /// Its family was revoked.
    Revoked,
    /// It was spent before: the family must end.
    Reused,
    /// The user is gone, inactive, or has ended the sessions.
    UserGone,
    /// The scope asked for is not within what was granted: `invalid_scope`.
    WiderScope,
}

impl Family {
    /// A family that begins now.
    #[must_use]
    pub fn begin(client: ClientId, user: UserId, scope: ScopeSet, now: UnixTime) -> Self {
        let (id, expires_at) = (FamilyId::generate(), now.plus(LONGEST_FAMILY));
        Self { id, client, user, scope, created_at: now, expires_at, revoked_at: None }
    }

    /// When a token made now would end: after `lifetime` seconds unused, and never after its family.
    #[must_use]
    pub fn token_expiry(&self, lifetime: i64, now: UnixTime) -> UnixTime {
        now.plus(lifetime).min(self.expires_at)
    }

    /// Whether anything of this family is still good.
    ///
    /// # Errors
    /// [`RefreshRefused::Revoked`], [`RefreshRefused::Expired`].
    pub fn require_live(&self, now: UnixTime) -> Result<(), RefreshRefused> {
        if self.revoked_at.is_some() {
            return Err(RefreshRefused::Revoked);
        }
        if self.expires_at <= now {
            return Err(RefreshRefused::Expired);
        }
        Ok(())
    }

    /// The scope of a refreshed access token (RFC 6749, section 6): all that was granted, or a part of it.
    ///
    /// # Errors
    /// [`RefreshRefused::WiderScope`].
    pub fn narrow(&self, requested: &ScopeSet) -> Result<ScopeSet, RefreshRefused> {
        if requested.is_empty() {
            return Ok(self.scope.clone());
        }
        if requested.is_subset(&self.scope) { Ok(requested.clone()) } else { Err(RefreshRefused::WiderScope) }
    }
}

impl RefreshToken {
    /// Decides what presenting this token does now.
    ///
    /// # Errors
    /// [`RefreshRefused`]; after [`RefreshRefused::Reused`] the caller ends the family.
    pub fn redeem(
        &self,
        family: &Family,
        client: ClientId,
        now: UnixTime,
    ) -> Result<Redemption, RefreshRefused> {
        if family.client != client {
            return Err(RefreshRefused::OtherClient);
        }
        family.require_live(now)?;
        match self.state {
            TokenState::Live if self.expires_at <= now => Err(RefreshRefused::Expired),
            TokenState::Live => Ok(Redemption::Rotate),
            TokenState::Spent { at, successor, successor_spent: false } if now.since(at) <= GRACE => {
                Ok(Redemption::Retry { unused: successor })
            }
            TokenState::Spent { .. } => Err(RefreshRefused::Reused),
        }
    }

    /// Whether introspection calls it active (RFC 7662, section 2.2).
    #[must_use]
    pub fn is_active(&self, family: &Family, now: UnixTime) -> bool {
        self.state == TokenState::Live && now < self.expires_at && family.require_live(now).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_000);

    fn family() -> Family {
        Family::begin(ClientId::generate(), UserId::generate(), ScopeSet::parse("a b").unwrap(), NOW)
    }

    fn token(family: &Family, state: TokenState) -> RefreshToken {
        RefreshToken {
            digest: Digest::of(b"token"),
            family: family.id,
            scope: family.scope.clone(),
            issued_at: NOW,
            expires_at: family.token_expiry(100, NOW),
            state,
            access_jti: "j".into(),
        }
    }

    fn spent(successor_spent: bool) -> TokenState {
        TokenState::Spent { at: NOW, successor: Digest::of(b"next"), successor_spent }
    }

    #[test]
    fn a_live_token_is_rotated_until_it_has_lain_unused_too_long() {
        let family = family();
        let live = token(&family, TokenState::Live);
        assert_eq!(live.redeem(&family, family.client, NOW.plus(99)), Ok(Redemption::Rotate));
        assert_eq!(live.redeem(&family, family.client, NOW.plus(100)), Err(RefreshRefused::Expired));
    }

    #[test]
    fn a_just_spent_token_may_be_retried_for_ten_seconds() {
        let family = family();
        let spent = token(&family, spent(false));
        let retry = Redemption::Retry { unused: Digest::of(b"next") };
        assert_eq!(spent.redeem(&family, family.client, NOW.plus(10)), Ok(retry));
        assert_eq!(spent.redeem(&family, family.client, NOW.plus(11)), Err(RefreshRefused::Reused));
    }

    #[test]
    fn a_spent_token_whose_successor_was_used_is_a_reuse_at_once() {
        let family = family();
        assert_eq!(
            token(&family, spent(true)).redeem(&family, family.client, NOW),
            Err(RefreshRefused::Reused)
        );
    }

    #[test]
    fn another_client_gets_nothing_and_ends_nothing() {
        let family = family();
        let spent = token(&family, spent(true));
        assert_eq!(spent.redeem(&family, ClientId::generate(), NOW), Err(RefreshRefused::OtherClient));
    }

    #[test]
    fn a_family_ends_when_revoked_and_after_thirty_days() {
        let family = family();
        let live = token(&family, TokenState::Live);
        let revoked = Family { revoked_at: Some(NOW), ..family.clone() };
        assert_eq!(live.redeem(&revoked, family.client, NOW), Err(RefreshRefused::Revoked));
        let last = NOW.plus(LONGEST_FAMILY);
        assert_eq!(live.redeem(&family, family.client, last), Err(RefreshRefused::Expired));
        assert_eq!(family.token_expiry(i64::MAX, last.minus(5)), last);
    }

    #[test]
    fn a_scope_may_shrink_and_come_back_but_never_grow() {
        let family = family();
        let scope = |text| ScopeSet::parse(text).unwrap();
        assert_eq!(family.narrow(&scope("a")), Ok(scope("a")));
        assert_eq!(family.narrow(&scope("")), Ok(scope("a b")));
        assert_eq!(family.narrow(&scope("a c")), Err(RefreshRefused::WiderScope));
    }
}
