-- Client certificates that stand for an application in TLS with the gateway.
CREATE TABLE application_certificates (
    id TEXT PRIMARY KEY NOT NULL,
    application_id TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    -- SHA-256 of its DER form.
    digest BLOB NOT NULL UNIQUE,
    subject TEXT NOT NULL,
    key_type TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX application_certificates_by_application ON application_certificates (application_id);
