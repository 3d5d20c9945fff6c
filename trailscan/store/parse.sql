-- Raw records -> rows of `events`. Reads `batch(object_id, record_index, record)`, where each record is one valid JSON object.
--
-- The columns must give the record back: what a column cannot hold exactly (fields without a column, explicit nulls, a number
-- where CloudTrail sends text, a time in another notation) goes to other_fields. So each row is one of three:
--   native     written as CloudTrail itself does: the columns spell the very same text again, so nothing is left to look for
--   regular    every key is known, every value has its type; null are at most requestParameters and responseElements
--              -> of both, other_fields is put together from the few known fields that have no column, and those nulls
--   irregular  -> other_fields is the record less what the columns hold exactly
-- Parsing is DuckDB's, in parallel; what only other records need is computed only for them (CASE is lazy).

WITH parsed AS (
  SELECT
    object_id, record_index, record,
    from_json(record, '{"eventTime":"VARCHAR","eventID":"VARCHAR","eventName":"VARCHAR","eventSource":"VARCHAR",
      "eventVersion":"VARCHAR","eventType":"VARCHAR","eventCategory":"VARCHAR","awsRegion":"VARCHAR",
      "recipientAccountId":"VARCHAR","sourceIPAddress":"VARCHAR","userAgent":"VARCHAR","errorCode":"VARCHAR",
      "errorMessage":"VARCHAR","requestID":"VARCHAR","sharedEventID":"VARCHAR","vpcEndpointId":"VARCHAR",
      "readOnly":"JSON","managementEvent":"JSON","userIdentity":"JSON","requestParameters":"JSON",
      "responseElements":"JSON","additionalEventData":"JSON","resources":"JSON","tlsDetails":"JSON",
      "serviceEventDetails":"JSON","apiVersion":"JSON","vpcEndpointAccountId":"JSON","sessionCredentialFromConsole":"JSON",
      "addendum":"JSON","insightDetails":"JSON","edgeDeviceDetails":"JSON","eventContext":"JSON"}') AS r
  FROM batch
),
compared AS (
  SELECT
    *,
    (spelled(r) = record AND NOT has_quotes(r) AND is_flag(r.readOnly) AND is_flag(r.managementEvent)) IS TRUE AS native
  FROM parsed
),
looked AS (
  SELECT
    *,
    CASE WHEN NOT native THEN len(json_keys(record)) END AS keys,
    CASE WHEN NOT native THEN json_type(record, [
      '$.eventTime', '$.eventID', '$.eventName', '$.eventSource', '$.eventVersion', '$.eventType', '$.eventCategory',
      '$.awsRegion', '$.recipientAccountId', '$.sourceIPAddress', '$.userAgent', '$.errorCode', '$.errorMessage',
      '$.requestID', '$.sharedEventID', '$.vpcEndpointId', '$.requestParameters', '$.responseElements']) END AS types
  FROM compared
),
typed AS (
  SELECT
    *,
    from_json(r.userIdentity, '{"type":"VARCHAR","arn":"VARCHAR","userName":"VARCHAR","principalId":"VARCHAR",
      "accountId":"VARCHAR","accessKeyId":"VARCHAR","invokedBy":"VARCHAR","sessionContext":{"sourceIdentity":"VARCHAR",
      "sessionIssuer":{"arn":"VARCHAR"},"attributes":{"mfaAuthenticated":"VARCHAR"}}}') AS u,
    moment(r.eventTime) AS event_time,
    is_door(r.eventSource, r.eventName) IS TRUE AS door,
    CASE WHEN NOT native THEN keys - (
      (r.eventTime IS NOT NULL)::INT + (r.eventID IS NOT NULL)::INT + (r.eventName IS NOT NULL)::INT
      + (r.eventSource IS NOT NULL)::INT + (r.eventVersion IS NOT NULL)::INT + (r.eventType IS NOT NULL)::INT
      + (r.eventCategory IS NOT NULL)::INT + (r.awsRegion IS NOT NULL)::INT + (r.recipientAccountId IS NOT NULL)::INT
      + (r.sourceIPAddress IS NOT NULL)::INT + (r.userAgent IS NOT NULL)::INT + (r.errorCode IS NOT NULL)::INT
      + (r.errorMessage IS NOT NULL)::INT + (r.requestID IS NOT NULL)::INT + (r.sharedEventID IS NOT NULL)::INT
      + (r.vpcEndpointId IS NOT NULL)::INT + (r.readOnly IS NOT NULL)::INT + (r.managementEvent IS NOT NULL)::INT
      + (r.userIdentity IS NOT NULL)::INT + (r.requestParameters IS NOT NULL)::INT + (r.responseElements IS NOT NULL)::INT
      + (r.additionalEventData IS NOT NULL)::INT + (r.resources IS NOT NULL)::INT + (r.tlsDetails IS NOT NULL)::INT
      + (r.serviceEventDetails IS NOT NULL)::INT + (r.apiVersion IS NOT NULL)::INT + (r.vpcEndpointAccountId IS NOT NULL)::INT
      + (r.sessionCredentialFromConsole IS NOT NULL)::INT + (r.addendum IS NOT NULL)::INT
      + (r.insightDetails IS NOT NULL)::INT + (r.edgeDeviceDetails IS NOT NULL)::INT + (r.eventContext IS NOT NULL)::INT
    ) END AS keys_left,
    NOT native AND (list_min(types[1:16]) IS DISTINCT FROM 'VARCHAR' OR NOT is_flag(r.readOnly)
                    OR NOT is_flag(r.managementEvent)) AS mistyped
  FROM looked
),
judged AS (
  SELECT
    *,
    strftime(event_time, '%Y-%m-%dT%H:%M:%SZ') IS DISTINCT FROM r.eventTime AS odd_time,
    CASE WHEN native THEN r.requestParameters IS NULL ELSE coalesce(types[17] = 'NULL', false) END AS null_request,
    CASE WHEN native THEN r.responseElements IS NULL ELSE coalesce(types[18] = 'NULL', false) END AS null_response,
    mistyped OR odd_time OR coalesce(keys_left <> null_request::INT + null_response::INT, false) AS irregular
  FROM typed
),
told AS (
  SELECT *, CASE WHEN door THEN asked_in(r.requestParameters) END AS asked,
         CASE WHEN door THEN answered_in(r.responseElements) END AS answered
  FROM judged
),
named AS (
  SELECT *, CASE WHEN door THEN machines_of(r.eventSource, r.eventName, asked, answered, r.requestParameters, r.errorMessage,
                                            u.principalId) END AS machines
  FROM told
)
SELECT
  object_id, record_index, event_time,
  r.eventID, r.eventName, r.eventSource, r.eventVersion, r.eventType, r.eventCategory, r.awsRegion, r.recipientAccountId,
  r.sourceIPAddress, r.userAgent, r.errorCode, r.errorMessage,
  CASE r.readOnly WHEN 'true' THEN true WHEN 'false' THEN false END,
  CASE r.managementEvent WHEN 'true' THEN true WHEN 'false' THEN false END,
  r.requestID, r.sharedEventID, r.vpcEndpointId,
  u.type, u.arn, u.userName, u.principalId, u.accountId, u.accessKeyId, u.invokedBy, u.sessionContext.sessionIssuer.arn,
  CASE WHEN u.type IN ('AssumedRole', 'Role') AND contains(u.principalId, ':') THEN split_part(u.principalId, ':', -1) END,
  u.sessionContext.sourceIdentity,
  CASE u.sessionContext.attributes.mfaAuthenticated WHEN 'true' THEN true WHEN 'false' THEN false END,
  array_to_string(machines, ','),
  CASE WHEN door THEN session_of(r.eventSource, r.eventName, asked, answered, r.errorMessage) END,
  CASE WHEN irregular OR from_door(r.eventSource) OR r.addendum IS NOT NULL
    THEN flags_of(record, r, keys, types[1:16], odd_time) END,
  CASE WHEN machines IS NOT NULL
    THEN all_names(machines, also_named(r.eventSource, r.eventName, asked, answered)) END,
  CASE WHEN may_tell_failure(r.responseElements, r.serviceEventDetails)
    THEN failure_of(r.responseElements, r.serviceEventDetails) END,
  r.userIdentity, r.requestParameters, r.responseElements, r.additionalEventData, r.resources, r.tlsDetails, r.serviceEventDetails,
  CASE
    WHEN irregular THEN rest_of(record, keys, odd_time)
    ELSE '{' || nullif(concat_ws(',',
      CASE WHEN null_request THEN '"requestParameters":null' END,
      CASE WHEN null_response THEN '"responseElements":null' END,
      '"apiVersion":' || r.apiVersion,
      '"vpcEndpointAccountId":' || r.vpcEndpointAccountId,
      '"sessionCredentialFromConsole":' || r.sessionCredentialFromConsole,
      '"addendum":' || r.addendum,
      '"insightDetails":' || r.insightDetails,
      '"edgeDeviceDetails":' || r.edgeDeviceDetails,
      '"eventContext":' || r.eventContext), '') || '}'
  END
FROM named
