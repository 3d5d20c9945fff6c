-- The pieces of parse.sql, made anew on each connection that loads.

-- DuckDB's years reach beyond what other tools can hold.
CREATE TEMP MACRO sane(moment) AS
  CASE WHEN moment BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999' THEN moment END;

-- A CloudTrail time as UTC. Delivered files say 2026-03-01T09:15:02Z; exports know fractions, offsets, a space instead of
-- the T, the basic form 20260301T091502Z, and epochs in seconds or milliseconds.
CREATE TEMP MACRO moment(t) AS
  CASE
    WHEN length(t) = 20 AND ends_with(t, 'Z') THEN sane(try_cast(t[:19] AS TIMESTAMP))
    WHEN regexp_full_match(t, '\d{8}T\d{6}Z') THEN sane(try_strptime(t, '%Y%m%dT%H%M%SZ'))
    WHEN regexp_full_match(t, '\d{9,10}(\.\d+)?') THEN make_timestamp(try_cast(try_cast(t AS DOUBLE) * 1000000 AS BIGINT))
    WHEN regexp_full_match(t, '\d{12,13}') THEN make_timestamp(try_cast(t AS BIGINT) * 1000)
    ELSE sane(try_cast(try_cast(regexp_replace(t, '(\.\d{6})\d+', '\1') AS TIMESTAMPTZ) AS TIMESTAMP))
  END;

-- JSON true or false, or no value at all.
CREATE TEMP MACRO is_flag(j) AS j IS NULL OR j IN ('true', 'false');

-- The record as delivered files have it: minified, its fields in the one order that CloudTrail writes. A field that is not there
-- and should be spoils the text, and then it equals no record. Source: published records; AWS, "CloudTrail record contents".
CREATE TEMP MACRO spelled(r) AS
  concat(
    '{"eventVersion":"', r.eventVersion, '","userIdentity":', r.userIdentity, ',"eventTime":"', r.eventTime,
    '","eventSource":"', r.eventSource, '","eventName":"', r.eventName, '","awsRegion":"', r.awsRegion,
    '","sourceIPAddress":"', r.sourceIPAddress, '"', ',"userAgent":"' || r.userAgent || '"',
    ',"errorCode":"' || r.errorCode || '"', ',"errorMessage":"' || r.errorMessage || '"',
    ',"requestParameters":', coalesce(r.requestParameters, 'null'), ',"responseElements":', coalesce(r.responseElements, 'null'),
    ',"additionalEventData":' || r.additionalEventData, ',"requestID":"' || r.requestID || '"', ',"eventID":"', r.eventID,
    '","readOnly":', r.readOnly, ',"resources":' || r.resources, ',"eventType":"', r.eventType, '"',
    ',"apiVersion":' || r.apiVersion, ',"managementEvent":', r.managementEvent, ',"recipientAccountId":"', r.recipientAccountId, '"',
    ',"sharedEventID":"' || r.sharedEventID || '"', ',"vpcEndpointId":"' || r.vpcEndpointId || '"',
    ',"vpcEndpointAccountId":' || r.vpcEndpointAccountId, ',"serviceEventDetails":' || r.serviceEventDetails,
    ',"addendum":' || r.addendum, ',"eventCategory":"', r.eventCategory, '"', ',"tlsDetails":' || r.tlsDetails,
    ',"sessionCredentialFromConsole":' || r.sessionCredentialFromConsole, '}');

CREATE TEMP MACRO texts_of(r) AS
  concat(r.eventVersion, r.eventTime, r.eventSource, r.eventName, r.awsRegion, r.sourceIPAddress, r.userAgent, r.errorCode,
         r.errorMessage, r.requestID, r.eventID, r.eventType, r.recipientAccountId, r.sharedEventID, r.vpcEndpointId,
         r.eventCategory);

-- Whether a text holds what JSON would have escaped: spelled again without its escapes, it could pass for other fields.
CREATE TEMP MACRO has_quotes(r) AS contains(texts_of(r), '"') OR contains(texts_of(r), '\');

-- The JSON merge patch that takes out of a record what its columns hold exactly: a value of the column's own type.
CREATE TEMP MACRO held_keys(record, odd_time) AS
  '{' || array_to_string([
    '"' || z[1] || '":null'
    FOR z IN list_zip(
      ['eventTime', 'eventID', 'eventName', 'eventSource', 'eventVersion', 'eventType', 'eventCategory', 'awsRegion',
       'recipientAccountId', 'sourceIPAddress', 'userAgent', 'errorCode', 'errorMessage', 'requestID', 'sharedEventID',
       'vpcEndpointId', 'readOnly', 'managementEvent', 'userIdentity', 'requestParameters', 'responseElements',
       'additionalEventData', 'resources', 'tlsDetails', 'serviceEventDetails'],
      json_type(record, ['$.eventTime', '$.eventID', '$.eventName', '$.eventSource', '$.eventVersion', '$.eventType',
       '$.eventCategory', '$.awsRegion', '$.recipientAccountId', '$.sourceIPAddress', '$.userAgent', '$.errorCode',
       '$.errorMessage', '$.requestID', '$.sharedEventID', '$.vpcEndpointId', '$.readOnly', '$.managementEvent',
       '$.userIdentity', '$.requestParameters', '$.responseElements', '$.additionalEventData', '$.resources', '$.tlsDetails',
       '$.serviceEventDetails']))
    IF CASE
      WHEN z[1] IN ('readOnly', 'managementEvent') THEN z[2] = 'BOOLEAN'
      WHEN z[1] IN ('userIdentity', 'requestParameters', 'responseElements', 'additionalEventData', 'resources',
                    'tlsDetails', 'serviceEventDetails') THEN z[2] <> 'NULL'
      ELSE z[2] = 'VARCHAR' AND NOT (odd_time AND z[1] = 'eventTime')
    END
  ], ',') || '}';

-- The services whose calls can open a shell on a machine.
CREATE TEMP MACRO is_door(source) AS
  source = 'ssm.amazonaws.com' OR source = 'ecs.amazonaws.com' OR source = 'ec2-instance-connect.amazonaws.com'
  OR source = 'ssm-guiconnect.amazonaws.com';

-- Two values under one key: parsers disagree on which one counts, so it is a way to hide a call from some of them.
CREATE TEMP MACRO has_twins(record, keys) AS keys > len(list_distinct(json_keys(record)));

CREATE TEMP MACRO twins_in(j) AS len(json_keys(j)) > len(list_distinct(json_keys(j)));

CREATE TEMP MACRO flags_of(record, r, keys, text_types, odd_time) AS
  nullif(concat_ws(',',
    CASE WHEN has_twins(record, keys) OR is_door(r.eventSource) AND (
           twins_in(r.requestParameters) OR twins_in(r.responseElements) OR twins_in(r.userIdentity)) THEN 'duplicate-key' END,
    CASE WHEN list_has_any(text_types || [json_type(r.readOnly), json_type(r.managementEvent)],
                           ['UBIGINT', 'BIGINT', 'HUGEINT', 'UHUGEINT', 'DOUBLE', 'OBJECT', 'ARRAY'])
           OR list_contains(text_types, 'BOOLEAN') OR 'VARCHAR' IN (json_type(r.readOnly), json_type(r.managementEvent))
         THEN 'type-mismatch' END,
    CASE WHEN odd_time AND r.eventTime IS NOT NULL THEN 'odd-time' END), '');

-- What of a record has no exact place in the columns; of a record with twin keys, all of it.
CREATE TEMP MACRO rest_of(record, keys, odd_time) AS
  CASE WHEN has_twins(record, keys) THEN record
       ELSE nullif(json_merge_patch(record, held_keys(record, odd_time)::JSON), '{}') END;

-- The machine that a door to a shell was opened on. A denied call often names it only in its message, as an ARN.
CREATE TEMP MACRO target_of(source, name, parameters, message) AS
  CASE
    WHEN source = 'ssm.amazonaws.com' AND name IN ('StartSession', 'GetConnectionStatus') THEN
      coalesce(parameters ->> '$.target', nullif(regexp_extract(message, ':(?:instance|managed-instance)/(m?i-[0-9a-f]+)', 1), ''))
    WHEN source = 'ssm.amazonaws.com' AND name = 'SendCommand' THEN
      array_to_string(try_cast(parameters -> '$.instanceIds' AS VARCHAR[]), ',')
    WHEN source = 'ecs.amazonaws.com' AND name = 'ExecuteCommand' THEN parameters ->> '$.task'
    WHEN source = 'ec2-instance-connect.amazonaws.com' THEN
      coalesce(parameters ->> '$.instanceId', parameters ->> '$.privateIpAddress')
    WHEN source = 'ssm-guiconnect.amazonaws.com' THEN parameters ->> '$.InstanceId'
  END;

-- The Session Manager session that a call is about; Athena's namesakes have another source.
CREATE TEMP MACRO session_of(source, name, parameters, response, message) AS
  CASE
    WHEN source = 'ssm.amazonaws.com' AND name IN ('StartSession', 'ResumeSession', 'TerminateSession') THEN
      coalesce(response ->> '$.sessionId', parameters ->> '$.sessionId',
               nullif(regexp_extract(message, ':session/([^ ]+)', 1), ''))
    WHEN source = 'ecs.amazonaws.com' AND name = 'ExecuteCommand' THEN response ->> '$.session.sessionId'
  END;
