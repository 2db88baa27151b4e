DROP TABLE route_changes;
