CREATE TABLE administrators (
    name TEXT NOT NULL PRIMARY KEY,
    password_hash TEXT NOT NULL
) STRICT;

CREATE TABLE clients (
    client_id TEXT NOT NULL PRIMARY KEY,
    client_name TEXT NOT NULL,
    secret_digest BLOB NOT NULL,
    previous_secret_digest BLOB,
    previous_secret_until INTEGER,
    auth_method TEXT NOT NULL,
    grant_types TEXT NOT NULL,
    scope TEXT NOT NULL,
    redirect_uris TEXT NOT NULL,
    contacts TEXT NOT NULL,
    client_uri TEXT,
    audiences TEXT NOT NULL,
    access_token_lifetime INTEGER NOT NULL,
    refresh_token_lifetime INTEGER NOT NULL,
    multi_valued_claims TEXT NOT NULL,
    signing_algorithm TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT;

-- A deleted user keeps its row without its data, so that the name stays reserved for ever.
CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    user_name TEXT NOT NULL,
    user_name_key TEXT NOT NULL UNIQUE,
    password_hash TEXT,
    active INTEGER NOT NULL,
    profile TEXT NOT NULL,
    sessions_ended_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    revision INTEGER NOT NULL
) STRICT;

-- By digest of the name that was tried, whether or not there is such a user: both cost the same.
CREATE TABLE sign_in_failures (
    name_digest BLOB NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    locked_until INTEGER NOT NULL,
    last_failure_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_failures_by_age ON sign_in_failures (last_failure_at);

CREATE TABLE refresh_families (
    id TEXT NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    uses INTEGER NOT NULL
) STRICT;
CREATE INDEX refresh_families_by_client ON refresh_families (client_id);
CREATE INDEX refresh_families_by_user ON refresh_families (user_id);
CREATE INDEX refresh_families_by_expiry ON refresh_families (expires_at);

CREATE TABLE refresh_tokens (
    digest BLOB NOT NULL PRIMARY KEY,
    family_id TEXT NOT NULL REFERENCES refresh_families (id) ON DELETE CASCADE,
    scope TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    spent_at INTEGER,
    successor BLOB,
    access_jti TEXT NOT NULL UNIQUE
) STRICT;
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family_id);

CREATE TABLE revoked_tokens (
    jti TEXT NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires_at);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    -- kind and generation together name the key's place: of two nodes that make the next one, one wins.
    kind TEXT NOT NULL,
    generation INTEGER NOT NULL,
    certificate TEXT NOT NULL,
    sealed_key BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    signs_from INTEGER NOT NULL,
    retires_at INTEGER,
    UNIQUE (kind, generation)
) STRICT;

CREATE TABLE signing_algorithms (
    algorithm TEXT NOT NULL PRIMARY KEY,
    added_at INTEGER NOT NULL
) STRICT;

CREATE TABLE revisions (
    name TEXT NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO revisions (name, revision) VALUES ('keys', 0);
