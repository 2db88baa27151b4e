-- Digests are random: an index of them alone is written all over, each row a page of its own, and the more of them the more rows there
-- are that are over. After the slot of time in which a row ends, they are written beside the rows of that time only.
CREATE TABLE grants_in_slots (
    id TEXT PRIMARY KEY NOT NULL,
    access_digest BLOB NOT NULL,
    refresh_digest BLOB,
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
    revoked_at INTEGER,
    -- `storage::slots` says what these numbers are, and a test that both say the same.
    slot INTEGER NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN max(expires_at, coalesce(refresh_expires_at, 0)) - issued_at <= 7200
                THEN 8589934592 + max(expires_at, coalesce(refresh_expires_at, 0)) / 3600
            WHEN max(expires_at, coalesce(refresh_expires_at, 0)) - issued_at <= 165600
                THEN 4294967296 + max(expires_at, coalesce(refresh_expires_at, 0)) / 86400
            ELSE 0
        END
    ) VIRTUAL
) STRICT;
INSERT INTO grants_in_slots (
        id, access_digest, refresh_digest, consumer_key, application_id, key_type, subject, issuer, identity_provider_id,
        key_thumbprint, assertion_jti, assertion_digest, scopes, issued_at, expires_at, refresh_scopes, refresh_expires_at,
        refresh_line_ends_at, refresh_spent_at, successor, family, parent, revoked_at)
    SELECT
        id, access_digest, refresh_digest, consumer_key, application_id, key_type, subject, issuer, identity_provider_id,
        key_thumbprint, assertion_jti, assertion_digest, scopes, issued_at, expires_at, refresh_scopes, refresh_expires_at,
        refresh_line_ends_at, refresh_spent_at, successor, family, parent, revoked_at
    FROM grants ORDER BY rowid;
DROP TABLE grants;
ALTER TABLE grants_in_slots RENAME TO grants;
CREATE UNIQUE INDEX grants_by_access ON grants (slot, access_digest);
CREATE UNIQUE INDEX grants_by_refresh ON grants (slot, refresh_digest) WHERE refresh_digest IS NOT NULL;
CREATE INDEX grants_by_family ON grants (family) WHERE parent IS NOT NULL;
CREATE INDEX grants_by_application ON grants (application_id);
CREATE INDEX grants_by_subject ON grants (subject);
CREATE INDEX grants_by_provider ON grants (identity_provider_id);
CREATE INDEX grants_by_last_end ON grants (max(expires_at, coalesce(refresh_expires_at, 0)));

-- Nothing but the key, so that a row is written once. How long those that are there were to be remembered nobody knows any more: they are
-- in the slot that is always asked, and that alone is swept row by row.
CREATE TABLE used_assertions_in_slots (
    slot INTEGER NOT NULL,
    replay_key BLOB NOT NULL,
    issuer TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (slot, replay_key, issuer)
) STRICT, WITHOUT ROWID;
INSERT INTO used_assertions_in_slots (slot, replay_key, issuer, expires_at)
    SELECT 0, replay_key, issuer, expires_at FROM used_assertions ORDER BY replay_key, issuer;
DROP TABLE used_assertions;
ALTER TABLE used_assertions_in_slots RENAME TO used_assertions;
CREATE INDEX used_assertions_by_end ON used_assertions (expires_at) WHERE slot = 0;
