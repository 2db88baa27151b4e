DROP INDEX revocations_by_value;
DROP TABLE mapped_clients;
