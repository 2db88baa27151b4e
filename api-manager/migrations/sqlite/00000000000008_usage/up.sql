-- What was called, by minute and by day. Nodes add to the same rows. What is not known (no API, no application, no operation) is
-- an empty text, for a key may hold no NULL. No foreign keys: what was counted stays counted.
CREATE TABLE usage_counts (
    period TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    api_id TEXT NOT NULL,
    application_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    status INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    backend_us INTEGER NOT NULL,
    gateway_us INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL,
    PRIMARY KEY (period, starts_at, api_id, application_id, operation, status)
) STRICT;
