-- Keys that stand for an application by themselves. Only the digest of a key is kept.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    application_id TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    key_type TEXT NOT NULL,
    digest BYTEA NOT NULL UNIQUE,
    expires_at BIGINT,
    -- JSON: lists of texts.
    allowed_ips TEXT NOT NULL,
    allowed_referers TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (application_id, name)
);
