-- How many rows came of each of the objects $1 to $2, where --only chose among their records.
UPDATE objects
SET loaded = (SELECT count(*) FROM events WHERE events.object_id = objects.object_id)
WHERE object_id BETWEEN $1 AND $2
