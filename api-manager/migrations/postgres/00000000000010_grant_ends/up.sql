-- Rows go when neither token is worth anything: found by the later end, not by walking over all whose access token is over.
DROP INDEX grants_by_end;
CREATE INDEX grants_by_last_end ON grants (greatest(expires_at, coalesce(refresh_expires_at, 0)));
