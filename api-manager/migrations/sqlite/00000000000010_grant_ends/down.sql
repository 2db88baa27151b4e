DROP INDEX grants_by_last_end;
CREATE INDEX grants_by_end ON grants (expires_at);
