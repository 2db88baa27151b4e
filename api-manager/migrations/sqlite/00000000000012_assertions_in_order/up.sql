-- Rows in the order in which they came, so that all but the index that tells a replay are written at their ends: without a rowid the
-- index of ends repeated the key, and those that end in the same second lay at random.
CREATE TABLE used_assertions_in_order (
    issuer TEXT NOT NULL,
    replay_key BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (replay_key, issuer)
) STRICT;
INSERT INTO used_assertions_in_order (issuer, replay_key, expires_at)
    SELECT issuer, replay_key, expires_at FROM used_assertions ORDER BY expires_at;
DROP TABLE used_assertions;
ALTER TABLE used_assertions_in_order RENAME TO used_assertions;
CREATE INDEX used_assertions_by_end ON used_assertions (expires_at);
