SET LOCAL statement_timeout = 0;
DROP INDEX grants_by_family;
CREATE INDEX grants_by_family ON grants (family);
DROP INDEX grants_by_refresh_digest;
ALTER TABLE grants ADD CONSTRAINT grants_refresh_digest_key UNIQUE (refresh_digest);
