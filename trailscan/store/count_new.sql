-- Of the rows of the objects $1 to $2, which a transaction has just inserted: how many there are, and how many have the id of another
-- row, here or held already: several trails deliver the same event. Whether they are its copies, others see (`suspects.sql`).
-- Copies share their time, so the search for them reads only that part of the table.
WITH fresh AS (
  SELECT recipient_account_id AS account, event_id, event_time FROM events WHERE object_id BETWEEN $1 AND $2
),
span AS (SELECT min(event_time) AS first, max(event_time) AS last FROM fresh),
named AS (SELECT DISTINCT account, event_id FROM fresh WHERE event_id IS NOT NULL),
held AS (
  SELECT DISTINCT recipient_account_id AS account, event_id
  FROM events
  WHERE (object_id < $1 OR object_id > $2)
    AND (event_time BETWEEN (SELECT first FROM span) AND (SELECT last FROM span) OR event_time IS NULL)
    AND event_id IN (SELECT event_id FROM named)
)
SELECT
  (SELECT count(*) FROM fresh),
  (SELECT count(*) FROM fresh WHERE event_id IS NOT NULL) - (SELECT count(*) FROM named)
    + (SELECT count(*) FROM named JOIN held
       ON held.event_id = named.event_id AND held.account IS NOT DISTINCT FROM named.account)
