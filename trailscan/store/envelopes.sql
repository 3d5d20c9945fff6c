-- What stands around a record, an event of EventBridge for one, fills the columns that the record itself leaves empty. The flags say
-- which, so that the record still comes out of its row as it was. Reads `around(object_id, record_index, account, region, time, flag)`.
UPDATE events
SET recipient_account_id = coalesce(recipient_account_id, account),
    aws_region = coalesce(aws_region, region),
    event_time = coalesce(event_time, moment(time)),
    flags = nullif(concat_ws(',', flags,
      CASE WHEN recipient_account_id IS NULL AND account IS NOT NULL THEN 'envelope-account' END,
      CASE WHEN aws_region IS NULL AND region IS NOT NULL THEN 'envelope-region' END,
      CASE WHEN event_time IS NULL AND moment(time) IS NOT NULL THEN 'envelope-time' END,
      flag), '')
FROM around
WHERE events.object_id = around.object_id AND events.record_index = around.record_index
