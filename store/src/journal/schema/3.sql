-- When an entity left the city, ms of 1970: the archive is kept for a time. Nobody wrote that down before; it was no later
-- than the newest record, so nothing goes before its time. The checksum of a row is over what it was before.
ALTER TABLE archive ADD COLUMN left_at INTEGER NOT NULL DEFAULT 0;
UPDATE archive SET left_at = (SELECT coalesce(max(at), 0) FROM batch);
-- Entities leave in the order of time, so this index grows at its end.
CREATE INDEX archive_left ON archive (left_at);
-- The names of an entity go with it.
CREATE INDEX archive_name_key ON archive_name (key);
