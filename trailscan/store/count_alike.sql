-- Of the fresh rows of `suspect`, how many say the same, cell by cell, as another: all of those whose like is held, and else all but one.
SELECT coalesce(sum(fresh - (held = 0 AND fresh > 0)::INT), 0)::BIGINT
FROM (SELECT count(*) FILTER (is_fresh) AS fresh, count(*) FILTER (NOT is_fresh) AS held
      FROM suspect GROUP BY account, event_id, fingerprint)
