-- PostgreSQL's rows lie in the order in which they came anyway.
SELECT 1;
