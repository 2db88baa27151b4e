-- A first grant's family is its own id, so only those after it need the index. That of refresh digests still holds the many grants that
-- have none: what a column's UNIQUE makes goes only with the table, and entries without a digest are appended in order.
DROP INDEX grants_by_family;
CREATE INDEX grants_by_family ON grants (family) WHERE parent IS NOT NULL;
