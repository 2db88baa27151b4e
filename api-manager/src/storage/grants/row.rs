//! A grant as its row, and back.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;
use shared_server::database::StorageError;

use crate::domain::application::KeyType;
use crate::domain::grant::{AssertionOrigin, Grant, Lineage, Refresh};
use crate::domain::ids::{ApplicationId, GrantId, IdentityProviderId};
use crate::storage::schema::grants;
use crate::storage::unreadable;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = grants)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) access_digest: Vec<u8>,
    pub(super) refresh_digest: Option<Vec<u8>>,
    pub(super) consumer_key: String,
    pub(super) application_id: String,
    pub(super) key_type: String,
    pub(super) subject: String,
    pub(super) issuer: Option<String>,
    pub(super) identity_provider_id: Option<String>,
    pub(super) key_thumbprint: Option<String>,
    pub(super) assertion_jti: Option<String>,
    pub(super) assertion_digest: Option<Vec<u8>>,
    pub(super) scopes: String,
    pub(super) issued_at: i64,
    pub(super) expires_at: i64,
    pub(super) refresh_scopes: Option<String>,
    pub(super) refresh_expires_at: Option<i64>,
    pub(super) refresh_line_ends_at: Option<i64>,
    pub(super) refresh_spent_at: Option<i64>,
    pub(super) successor: Option<String>,
    pub(super) family: String,
    pub(super) parent: Option<String>,
    pub(super) revoked_at: Option<i64>,
}

impl Row {
    pub(super) fn of(grant: &Grant) -> Self {
        let origin = grant.lineage.assertion.as_ref();
        let refresh = grant.refresh.as_ref();
        let spent = refresh.and_then(|refresh| refresh.spent);
        Self {
            id: grant.id.to_string(),
            access_digest: grant.access_digest.as_bytes().to_vec(),
            refresh_digest: refresh.map(|refresh| refresh.digest.as_bytes().to_vec()),
            consumer_key: grant.consumer_key.clone(),
            application_id: grant.application_id.to_string(),
            key_type: grant.key_type.as_str().to_owned(),
            subject: grant.subject.clone(),
            issuer: origin.map(|origin| origin.issuer.clone()),
            identity_provider_id: origin.map(|origin| origin.identity_provider_id.to_string()),
            key_thumbprint: origin.map(|origin| origin.key_thumbprint.clone()),
            assertion_jti: origin.and_then(|origin| origin.jti.clone()),
            assertion_digest: origin.map(|origin| origin.digest.as_bytes().to_vec()),
            scopes: grant.scopes.to_string(),
            issued_at: grant.issued_at.0,
            expires_at: grant.expires_at.0,
            refresh_scopes: refresh.map(|refresh| refresh.scopes.to_string()),
            refresh_expires_at: refresh.map(|refresh| refresh.expires_at.0),
            refresh_line_ends_at: refresh.map(|refresh| refresh.line_ends_at.0),
            refresh_spent_at: spent.map(|(at, _)| at.0),
            successor: spent.map(|(_, successor)| successor.to_string()),
            family: grant.lineage.family.to_string(),
            parent: grant.lineage.parent.map(|parent| parent.to_string()),
            revoked_at: grant.revoked_at.map(|at| at.0),
        }
    }

    pub(super) fn access_digest(&self) -> Option<Digest> {
        Digest::from_slice(&self.access_digest)
    }

    pub(super) fn into_grant(self) -> Result<Grant, StorageError> {
        let refresh = self.refresh()?;
        let assertion = self.origin()?;
        let parent =
            self.parent.as_deref().map(|id| GrantId::parse(id).ok_or_else(|| bad("parent"))).transpose()?;
        Ok(Grant {
            id: GrantId::parse(&self.id).ok_or_else(|| bad("id"))?,
            access_digest: Digest::from_slice(&self.access_digest).ok_or_else(|| bad("access_digest"))?,
            refresh,
            consumer_key: self.consumer_key,
            application_id: ApplicationId::parse(&self.application_id)
                .ok_or_else(|| bad("application_id"))?,
            key_type: KeyType::parse(&self.key_type).ok_or_else(|| bad("key_type"))?,
            subject: self.subject,
            scopes: ScopeSet::parse(&self.scopes).map_err(|_| bad("scopes"))?,
            issued_at: UnixTime(self.issued_at),
            expires_at: UnixTime(self.expires_at),
            lineage: Lineage {
                assertion,
                family: GrantId::parse(&self.family).ok_or_else(|| bad("family"))?,
                parent,
            },
            revoked_at: self.revoked_at.map(UnixTime),
        })
    }

    fn refresh(&self) -> Result<Option<Refresh>, StorageError> {
        let (Some(digest), Some(expires_at)) = (&self.refresh_digest, self.refresh_expires_at) else {
            return Ok(None);
        };
        let spent = match (self.refresh_spent_at, &self.successor) {
            (Some(at), Some(successor)) => {
                Some((UnixTime(at), GrantId::parse(successor).ok_or_else(|| bad("successor"))?))
            }
            _ => None,
        };
        let digest = Digest::from_slice(digest).ok_or_else(|| bad("refresh_digest"))?;
        let scopes = self.refresh_scopes.as_deref().unwrap_or(&self.scopes);
        Ok(Some(Refresh {
            digest,
            scopes: ScopeSet::parse(scopes).map_err(|_| bad("refresh_scopes"))?,
            expires_at: UnixTime(expires_at),
            line_ends_at: UnixTime(self.refresh_line_ends_at.unwrap_or(expires_at)),
            spent,
        }))
    }

    fn origin(&self) -> Result<Option<AssertionOrigin>, StorageError> {
        let Some(provider) = &self.identity_provider_id else { return Ok(None) };
        let digest = self.assertion_digest.as_deref().and_then(Digest::from_slice);
        Ok(Some(AssertionOrigin {
            identity_provider_id: IdentityProviderId::parse(provider)
                .ok_or_else(|| bad("identity_provider_id"))?,
            issuer: self.issuer.clone().ok_or_else(|| bad("issuer"))?,
            key_thumbprint: self.key_thumbprint.clone().ok_or_else(|| bad("key_thumbprint"))?,
            jti: self.assertion_jti.clone(),
            digest: digest.ok_or_else(|| bad("assertion_digest"))?,
        }))
    }
}

fn bad(column: &str) -> StorageError {
    unreadable("grants", column)
}
