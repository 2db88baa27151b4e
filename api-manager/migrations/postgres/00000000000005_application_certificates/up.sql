-- Client certificates that stand for an application in TLS with the gateway.
CREATE TABLE application_certificates (
    id TEXT PRIMARY KEY NOT NULL,
    application_id TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    -- SHA-256 of its DER form.
    digest BYTEA NOT NULL UNIQUE,
    subject TEXT NOT NULL,
    key_type TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX application_certificates_by_application ON application_certificates (application_id);
