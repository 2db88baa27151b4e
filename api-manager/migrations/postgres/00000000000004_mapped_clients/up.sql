-- Which application stands behind a client of a trusted identity provider, whose JWTs are presented directly.
CREATE TABLE mapped_clients (
    id TEXT PRIMARY KEY NOT NULL,
    application_id TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    identity_provider_id TEXT NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL,
    key_type TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (identity_provider_id, client_id)
);
CREATE INDEX mapped_clients_by_application ON mapped_clients (application_id);

-- A JWT that is presented directly leaves no grant behind: whether it was taken back is asked of the feed.
CREATE INDEX revocations_by_value ON revocations (kind, value);
