-- What moved the counter `routes`, so that a gateway reads what has changed and not everything. A number without a row here
-- means: anything may have changed.
CREATE TABLE route_changes (
    revision INTEGER NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (revision, kind, id)
) STRICT, WITHOUT ROWID;
