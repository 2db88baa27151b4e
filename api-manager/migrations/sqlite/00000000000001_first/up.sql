CREATE TABLE administrators (name TEXT PRIMARY KEY NOT NULL, password_hash TEXT NOT NULL) STRICT;

-- Counters that other processes watch: `routes` moves with everything that the gateway compiles, `revocations` with every revocation.
CREATE TABLE revisions (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT;
INSERT INTO revisions (name, value) VALUES ('routes', 0), ('trust', 0);

CREATE TABLE identity_providers (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    -- The value compared with `iss`: the name unless `issuer` was given.
    issuer TEXT NOT NULL UNIQUE,
    alias TEXT NOT NULL,
    certificates TEXT NOT NULL,
    jwks_uri TEXT,
    enabled INTEGER NOT NULL,
    algorithms TEXT NOT NULL,
    replay TEXT NOT NULL,
    max_assertion_lifetime INTEGER NOT NULL,
    scopes TEXT,
    outlive_assertion INTEGER NOT NULL,
    management INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT;

-- Keyed by the issuer's text, not by the provider's id: trusting an issuer anew must not let spent assertions in again.
CREATE TABLE used_assertions (
    issuer TEXT NOT NULL,
    replay_key BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, replay_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX used_assertions_by_end ON used_assertions (expires_at);

CREATE TABLE tiers (
    name TEXT PRIMARY KEY NOT NULL,
    description TEXT NOT NULL,
    requests INTEGER,
    per_seconds INTEGER,
    burst INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO tiers VALUES
    ('Unlimited', 'No limit', NULL, NULL, NULL, 0, 0, 1),
    ('Gold', '5000 requests a minute', 5000, 60, NULL, 0, 0, 1),
    ('Silver', '2000 requests a minute', 2000, 60, NULL, 0, 0, 1),
    ('Bronze', '1000 requests a minute', 1000, 60, NULL, 0, 0, 1);

CREATE TABLE apis (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    context TEXT NOT NULL,
    version TEXT NOT NULL,
    state TEXT NOT NULL,
    owner TEXT NOT NULL,
    -- Everything that only the API's own rules and the gateway read, as JSON.
    definition TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    UNIQUE (context, version)
) STRICT;

CREATE TABLE lifecycle_events (
    id TEXT PRIMARY KEY NOT NULL,
    api_id TEXT NOT NULL REFERENCES apis (id) ON DELETE CASCADE,
    action TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    actor TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX lifecycle_events_by_api ON lifecycle_events (api_id, id);

CREATE TABLE applications (
    id TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    tier TEXT NOT NULL REFERENCES tiers (name),
    description TEXT NOT NULL,
    access_token_lifetime INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    UNIQUE (owner, name)
) STRICT;

CREATE TABLE application_keys (
    consumer_key TEXT PRIMARY KEY NOT NULL,
    application_id TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    key_type TEXT NOT NULL,
    secret_digest BLOB NOT NULL,
    previous_secret_digest BLOB,
    previous_secret_until INTEGER,
    grant_types TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    UNIQUE (application_id, key_type)
) STRICT;

CREATE TABLE subscriptions (
    id TEXT PRIMARY KEY NOT NULL,
    application_id TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    api_id TEXT NOT NULL REFERENCES apis (id),
    tier TEXT NOT NULL REFERENCES tiers (name),
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    UNIQUE (application_id, api_id)
) STRICT;
CREATE INDEX subscriptions_by_api ON subscriptions (api_id);

-- One row a token pair. No foreign keys: a grant outlives what it came from, so that its lineage can be read.
CREATE TABLE grants (
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
CREATE INDEX grants_by_family ON grants (family);
CREATE INDEX grants_by_application ON grants (application_id);
CREATE INDEX grants_by_subject ON grants (subject);
CREATE INDEX grants_by_provider ON grants (identity_provider_id);
CREATE INDEX grants_by_end ON grants (expires_at);

-- The feed that tells gateways what to forget; rows are removed when no gateway can still hold what they name.
CREATE TABLE revocations (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
