-- Who is kept away from the gateway. A rule goes with the application or the API that it names.
CREATE TABLE deny_rules (
    id TEXT PRIMARY KEY NOT NULL,
    -- A range in CIDR form.
    ip TEXT,
    application_id TEXT REFERENCES applications (id) ON DELETE CASCADE,
    subject TEXT,
    issuer TEXT,
    api_id TEXT REFERENCES apis (id) ON DELETE CASCADE,
    enabled INTEGER NOT NULL,
    reason TEXT NOT NULL,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT;
CREATE INDEX deny_rules_by_application ON deny_rules (application_id);
CREATE INDEX deny_rules_by_api ON deny_rules (api_id);
