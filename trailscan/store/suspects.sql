-- The rows whose event id occurs twice among the rows of the objects $1 to $2, or there and among those held already; each with a
-- fingerprint of its content as the columns hold it.
CREATE OR REPLACE TEMP TABLE suspect AS
WITH fresh AS (
  SELECT recipient_account_id AS account, event_id, event_time FROM events
  WHERE object_id BETWEEN $1 AND $2 AND event_id IS NOT NULL
),
span AS (SELECT min(event_time) AS first, max(event_time) AS last FROM fresh),
near AS (
  SELECT rowid AS row_id, recipient_account_id AS account, event_id FROM events
  WHERE (event_time BETWEEN (SELECT first FROM span) AND (SELECT last FROM span) OR event_time IS NULL
         OR object_id BETWEEN $1 AND $2)
    AND event_id IN (SELECT event_id FROM fresh)
),
chosen AS (
  SELECT row_id FROM near QUALIFY count(*) OVER (PARTITION BY account, event_id) > 1
)
SELECT rowid AS row_id, object_id BETWEEN $1 AND $2 AS is_fresh, recipient_account_id AS account, event_id, object_id, record_index,
       hash(*COLUMNS(e.* EXCLUDE (object_id, record_index, flags))) AS fingerprint
FROM events e WHERE rowid IN (SELECT row_id FROM chosen)
