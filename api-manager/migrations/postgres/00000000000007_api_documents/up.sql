-- The OpenAPI document that an API was made of, as JSON. A table of its own: it may be long, and the gateway rarely needs it.
CREATE TABLE api_documents (
    api_id TEXT PRIMARY KEY NOT NULL REFERENCES apis (id) ON DELETE CASCADE,
    document TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
