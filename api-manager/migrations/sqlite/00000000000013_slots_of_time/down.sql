CREATE TABLE grants_by_digest (
    id TEXT PRIMARY KEY NOT NULL,
    access_digest BLOB NOT NULL UNIQUE,
    refresh_digest BLOB UNIQUE,
    consumer_key TEXT NOT NULL,
    application_id TEXT NOT NULL,
    key_type TEXT NOT NULL,
    subject TEXT NOT NULL,
    issuer TEXT,
    identity_provider_id TEXT,
    key_thumbprint TEXT,
    assertion_jti TEXT,
    assertion_digest BLOB,
    scopes TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- What the refresh token may buy, which is not narrowed when an access token is.
    refresh_scopes TEXT,
    refresh_expires_at INTEGER,
    refresh_line_ends_at INTEGER,
    -- When the refresh token was spent, and on which grant.
    refresh_spent_at INTEGER,
    successor TEXT,
    family TEXT NOT NULL,
    parent TEXT,
    revoked_at INTEGER
) STRICT;
INSERT INTO grants_by_digest (
        id, access_digest, refresh_digest, consumer_key, application_id, key_type, subject, issuer, identity_provider_id,
        key_thumbprint, assertion_jti, assertion_digest, scopes, issued_at, expires_at, refresh_scopes, refresh_expires_at,
        refresh_line_ends_at, refresh_spent_at, successor, family, parent, revoked_at)
    SELECT
        id, access_digest, refresh_digest, consumer_key, application_id, key_type, subject, issuer, identity_provider_id,
        key_thumbprint, assertion_jti, assertion_digest, scopes, issued_at, expires_at, refresh_scopes, refresh_expires_at,
        refresh_line_ends_at, refresh_spent_at, successor, family, parent, revoked_at
    FROM grants ORDER BY rowid;
DROP TABLE grants;
ALTER TABLE grants_by_digest RENAME TO grants;
CREATE INDEX grants_by_family ON grants (family) WHERE parent IS NOT NULL;
CREATE INDEX grants_by_application ON grants (application_id);
CREATE INDEX grants_by_subject ON grants (subject);
CREATE INDEX grants_by_provider ON grants (identity_provider_id);
CREATE INDEX grants_by_last_end ON grants (max(expires_at, coalesce(refresh_expires_at, 0)));

CREATE TABLE used_assertions_without_slots (
    issuer TEXT NOT NULL,
    replay_key BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (replay_key, issuer)
) STRICT;
INSERT INTO used_assertions_without_slots (issuer, replay_key, expires_at)
    SELECT issuer, replay_key, expires_at FROM used_assertions ORDER BY expires_at;
DROP TABLE used_assertions;
ALTER TABLE used_assertions_without_slots RENAME TO used_assertions;
CREATE INDEX used_assertions_by_end ON used_assertions (expires_at);
