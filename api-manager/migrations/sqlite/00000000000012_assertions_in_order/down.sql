CREATE TABLE used_assertions_by_key (
    issuer TEXT NOT NULL,
    replay_key BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, replay_key)
) STRICT, WITHOUT ROWID;
INSERT INTO used_assertions_by_key (issuer, replay_key, expires_at)
    SELECT issuer, replay_key, expires_at FROM used_assertions ORDER BY issuer, replay_key;
DROP TABLE used_assertions;
ALTER TABLE used_assertions_by_key RENAME TO used_assertions;
CREATE INDEX used_assertions_by_end ON used_assertions (expires_at);
