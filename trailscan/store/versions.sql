-- Where the rows of an event differ: one row of each version, those held already first, with all its cells. A version that is held is
-- no fresh one.
WITH version AS (
  SELECT min_by(row_id, (is_fresh, object_id, record_index)) AS row_id, bool_and(is_fresh) AS is_fresh, account, event_id
  FROM suspect GROUP BY account, event_id, fingerprint
),
several AS (SELECT * FROM version QUALIFY count(*) OVER (PARTITION BY account, event_id) > 1)
SELECT s.is_fresh, s.account, s.event_id, e.* EXCLUDE (object_id, record_index, flags)
FROM several s JOIN events e ON e.rowid = s.row_id
ORDER BY s.is_fresh, e.object_id, e.record_index
