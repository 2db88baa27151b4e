//! Users: names, states, and what their scopes may hold.

use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;

use crate::domain::client::roles_for;
use crate::domain::profile::Profile;

shared_claims::id_type!(
    /// The identifier of a user, made by us.
    UserId
);

/// The longest user name, in characters.
pub const LONGEST_NAME: usize = 128;

/// A user name as it was chosen, fit to be compared by its [`UserName::key`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName(String);

/// Why a text is no user name; the text completes "userName …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUserName {
    /// Nothing but blanks.
    #[error("must not be empty")]
    Empty,
    /// More than 128 characters.
    #[error("is too long; at most 128 characters are accepted")]
    TooLong,
    /// Blanks at either end.
    #[error("must not begin or end with a blank")]
    OuterBlank,
    /// Control or invisible characters, or loose combining marks: two names would look alike.
    #[error("must not hold control, invisible or combining characters; write letters in their composed form")]
    Invisible,
}

impl UserName {
    /// Takes a name that people can tell from every other.
    ///
    /// # Errors
    /// [`BadUserName`].
    pub fn parse(text: &str) -> Result<Self, BadUserName> {
        if text.trim().is_empty() {
            return Err(BadUserName::Empty);
        }
        if text.chars().count() > LONGEST_NAME {
            return Err(BadUserName::TooLong);
        }
        if text.trim() != text {
            return Err(BadUserName::OuterBlank);
        }
        if text.chars().any(is_invisible) {
            return Err(BadUserName::Invisible);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as chosen.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What names are compared by: two names with one key are one name.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.0)
    }
}

/// The key of a name as somebody typed it; every text has one, so that unknown names cost what known ones do.
#[must_use]
pub fn key(text: &str) -> String {
    // Upper in between folds letters such as ſ and ß, whose upper case has another lower case; lower first, for ẞ is ß there.
    text.to_lowercase().to_uppercase().to_lowercase()
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
        || (c.is_whitespace() && c != ' ')
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Never given to another person.
    pub id: UserId,
    /// `sub` of the person's tokens; never given to another person either.
    pub name: UserName,
    /// Argon2id, as a PHC string; none where no password was set.
    pub password_hash: Option<String>,
    /// An inactive user cannot sign in, and its tokens are not active.
    pub active: bool,
    /// What is known about the person.
    pub profile: Profile,
    /// Tokens from before this moment are not active any more.
    pub sessions_ended_at: UnixTime,
    /// When the user was made.
    pub created_at: UnixTime,
    /// When it was last changed.
    pub updated_at: UnixTime,
    /// Counts its changes, from 1.
    pub revision: i64,
}

impl User {
    /// Of `scopes`, those that this person may hold; see [`crate::domain::client::Client::grant_to_user`].
    #[must_use]
    pub fn may_hold(&self, scopes: &ScopeSet) -> ScopeSet {
        let may_hold = |scope: &&str| {
            let roles = roles_for(scope);
            roles.is_empty() || self.profile.roles.iter().any(|role| roles.contains(&role.as_str()))
        };
        let held = scopes.iter().filter(may_hold);
        ScopeSet::from_tokens(held).unwrap_or_default()
    }

    /// Whether a token that was issued at `issued_at` still speaks for this person.
    #[must_use]
    pub fn honours(&self, issued_at: UnixTime) -> bool {
        self.active && issued_at >= self.sessions_ended_at
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn user(name: &str) -> User {
        User {
            id: UserId::generate(),
            name: UserName::parse(name).unwrap(),
            password_hash: None,
            active: true,
            profile: Profile::default(),
            sessions_ended_at: UnixTime(0),
            created_at: UnixTime(1),
            updated_at: UnixTime(1),
            revision: 1,
        }
    }

    #[test]
    fn names_that_people_cannot_tell_apart_are_refused() {
        for (bad, why) in [
            ("", BadUserName::Empty),
            ("  ", BadUserName::Empty),
            (" bob", BadUserName::OuterBlank),
            ("b\u{0}b", BadUserName::Invisible),
            ("b\u{200b}ob", BadUserName::Invisible),
            ("e\u{301}ve", BadUserName::Invisible),
            ("b\u{a0}b", BadUserName::Invisible),
            (&"x".repeat(129), BadUserName::TooLong),
        ] {
            assert_eq!(UserName::parse(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn names_differ_by_more_than_case() {
        assert_eq!(key("Alice"), key("aLICE"));
        assert_eq!(key("straße"), key("STRASSE"));
        assert_ne!(key("alice"), key("alicia"));
    }

    #[test]
    fn a_token_from_before_the_end_of_sessions_is_not_honoured() {
        let ended = User { sessions_ended_at: UnixTime(50), ..user("alice") };
        assert!(!ended.honours(UnixTime(49)) && ended.honours(UnixTime(50)));
        assert!(!User { active: false, ..user("alice") }.honours(UnixTime(60)));
    }

    #[test]
    fn every_letters_key_is_its_own_key() {
        for letter in '\0'..=char::MAX {
            let once = key(&letter.to_string());
            assert_eq!(key(&once), once, "{letter:?}");
        }
        assert_eq!([key("ẞ"), key("ß")], ["ss", "ss"]);
    }

    proptest! {
        #[test]
        fn a_name_and_its_key_have_one_key(text in "\\PC{0,40}") {
            if let Ok(name) = UserName::parse(&text) {
                prop_assert_eq!(key(&name.key()), name.key());
            }
        }
    }

    #[test]
    fn administering_scopes_need_a_role_and_the_others_do_not() {
        let all = ScopeSet::parse("apim:admin apim:api_create apim:subscribe email identity:keys").unwrap();
        let held = |roles: &[&str]| {
            let mut person = user("alice");
            person.profile.roles = roles.iter().map(|role| (*role).to_owned()).collect();
            person.may_hold(&all).to_string()
        };
        assert_eq!(held(&[]), "apim:subscribe email");
        assert_eq!(held(&["publisher"]), "apim:api_create apim:subscribe email");
        assert_eq!(held(&["admin"]), all.to_string());
    }
}
