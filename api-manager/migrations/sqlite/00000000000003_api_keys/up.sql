-- Keys that stand for an application by themselves. Only the digest of a key is kept.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    application_id TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    key_type TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    expires_at INTEGER,
    -- JSON: lists of texts.
    allowed_ips TEXT NOT NULL,
    allowed_referers TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (application_id, name)
) STRICT;
