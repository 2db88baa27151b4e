-- Nothing: which of the names had ẞ is not told by their keys.
SELECT 1;
