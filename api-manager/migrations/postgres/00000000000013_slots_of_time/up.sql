-- PostgreSQL finds rows by their digests alone: how its pages are written is its own affair.
SELECT 1;
