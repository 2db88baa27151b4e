-- Most grants have no refresh token and no parent: neither index holds them any more. A first grant's family is its own id.
-- However many rows there are: the limit of ordinary statements would end the migration, and the server with it.
SET LOCAL statement_timeout = 0;
ALTER TABLE grants DROP CONSTRAINT grants_refresh_digest_key;
CREATE UNIQUE INDEX grants_by_refresh_digest ON grants (refresh_digest) WHERE refresh_digest IS NOT NULL;
DROP INDEX grants_by_family;
CREATE INDEX grants_by_family ON grants (family) WHERE parent IS NOT NULL;
