-- The key that signs what backends are told about callers, sealed with the master key. Its generation is the primary key, so that
-- of several nodes that make one at the same time a single one counts.
CREATE TABLE backend_keys (
    generation BIGINT PRIMARY KEY NOT NULL,
    sealed_key BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
