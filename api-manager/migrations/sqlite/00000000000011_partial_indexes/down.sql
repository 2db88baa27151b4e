DROP INDEX grants_by_family;
CREATE INDEX grants_by_family ON grants (family);
