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

-- Two values under one key: parsers disagree on which one counts, so it is a way to hide a call from some of them.
CREATE TEMP MACRO has_twins(record, keys) AS keys > len(list_distinct(json_keys(record)));

CREATE TEMP MACRO twins_in(j) AS len(json_keys(j)) > len(list_distinct(json_keys(j)));

CREATE TEMP MACRO flags_of(record, r, keys, text_types, odd_time) AS
  nullif(concat_ws(',',
    CASE WHEN has_twins(record, keys) OR from_door(r.eventSource) AND (
           twins_in(r.requestParameters) OR twins_in(r.responseElements) OR twins_in(r.userIdentity)) THEN 'duplicate-key' END,
    CASE WHEN list_has_any(text_types || [json_type(r.readOnly), json_type(r.managementEvent)],
                           ['UBIGINT', 'BIGINT', 'HUGEINT', 'UHUGEINT', 'DOUBLE', 'OBJECT', 'ARRAY'])
           OR list_contains(text_types, 'BOOLEAN') OR 'VARCHAR' IN (json_type(r.readOnly), json_type(r.managementEvent))
         THEN 'type-mismatch' END,
    CASE WHEN odd_time AND r.eventTime IS NOT NULL THEN 'odd-time' END,
    CASE WHEN (r.addendum ->> '$.reason') = 'UPDATED_DATA' THEN 'updated-data' END), '');

-- What of a record has no exact place in the columns; of a record with twin keys, all of it.
CREATE TEMP MACRO rest_of(record, keys, odd_time) AS
  CASE WHEN has_twins(record, keys) THEN record
       ELSE nullif(json_merge_patch(record, held_keys(record, odd_time)::JSON), '{}') END;

-- What the requests and answers of door calls say of machines and sessions, read once; of other types than AWS sends, NULL.
CREATE OR REPLACE TEMP MACRO asked_in(request) AS
  from_json(request, '{"target":"VARCHAR","task":"VARCHAR","instanceId":"VARCHAR","privateIpAddress":"VARCHAR",
    "instanceConnectEndpointId":"VARCHAR","environmentId":"VARCHAR","resourceIdentifier":"VARCHAR",
    "notebookInstanceName":"VARCHAR","spaceName":"VARCHAR","userProfileName":"VARCHAR","domainId":"VARCHAR",
    "instanceName":"VARCHAR","clusterName":"VARCHAR","name":"VARCHAR","sessionId":"VARCHAR","accessRequestId":"VARCHAR",
    "instanceIds":"JSON","targets":[{"key":"VARCHAR","values":"JSON"}],
    "targetLocations":[{"targets":[{"key":"VARCHAR","values":"JSON"}]}],
    "entries":[{"instanceId":"VARCHAR","targets":[{"key":"VARCHAR","values":"JSON"}]}],
    "parameters":"JSON","targetMaps":"JSON"}');

CREATE OR REPLACE TEMP MACRO answered_in(response) AS
  from_json(response, '{"sessionId":"VARCHAR","accessRequestId":"VARCHAR","taskArn":"VARCHAR","environmentId":"VARCHAR",
    "streamUrl":"VARCHAR","session":{"sessionId":"VARCHAR"},
    "command":{"instanceIds":"JSON","targets":[{"key":"VARCHAR","values":"JSON"}]}}');

-- A list of texts, or one text; an empty list for anything else.
CREATE OR REPLACE TEMP MACRO texts_of_json(j) AS
  coalesce(try_cast(j AS VARCHAR[]), [j ->> '$'], []);

-- What members of `targets` address: machines by their ids (ParameterValues of an automation are ids as well), or `tag:Role=web|db`.
CREATE OR REPLACE TEMP MACRO addressed_by(members) AS
  flatten([
    CASE WHEN lower(t.key) IN ('instanceids', 'parametervalues') OR t."values" IN ('["*"]', '"*"') THEN texts_of_json(t."values")
         ELSE [t.key || '=' || array_to_string(texts_of_json(t."values"), '|')] END
    FOR t IN members]);

-- What a command was sent to, from the answer where the request does not tell; an automation's parameters name machines, too.
CREATE OR REPLACE TEMP MACRO listed_targets(asked, answered) AS
  flatten([
    texts_of_json(coalesce(asked.instanceIds, answered.command.instanceIds)),
    addressed_by(flatten([coalesce(asked.targets, answered.command.targets, []), flatten([l.targets FOR l IN asked.targetLocations]),
                          flatten([e.targets FOR e IN asked.entries])])),
    [asked.instanceId], [e.instanceId FOR e IN asked.entries],
    flatten([texts_of_json(p) FOR p IN json_extract(asked.parameters, ['$.InstanceId', '$.InstanceIds', '$.instanceId', '$.instanceIds'])]),
    json_extract_string(asked.targetMaps, '$[*].*[*]')]);

-- The machines that an error message names: as an ARN, as an id, in whatever partition. What says who called is left out: the
-- session of an instance's role has the name of the instance.
CREATE OR REPLACE TEMP MACRO named_in_message(message) AS
  list_sort(list_distinct(regexp_extract_all(
    regexp_replace(message, 'User: \S+', ''),
    '(arn:[\w-]*:(?:ecs:[\w-]*:\d*:task|sagemaker:[\w-]*:\d*:(?:space|app|domain|user-profile|notebook-instance)'
    || '|lightsail:[\w-]*:\d*:Instance|eks:[\w-]*:\d*:cluster|cloudshell:[\w-]*:\d*:environment)/[\w/.-]*[\w-]'
    || '|\b(?:m?i|eice)-[0-9A-Za-z]{4,})', 1)));

-- The machines that a door call names, as it names them; of a data channel, the node that opened its end. NULL for none.
CREATE OR REPLACE TEMP MACRO machines_of(source, name, asked, answered, request, message, principal) AS
  coalesce(
    nullif(list_filter(named_in_request(source, name, asked, answered, request), lambda text: text <> ''), []),
    CASE WHEN names_machines(source, name) THEN nullif(named_in_message(message), []) END,
    CASE WHEN name IN ('CreateDataChannel', 'OpenDataChannel')
      THEN nullif(regexp_extract_all(principal, ':(m?i-[0-9A-Za-z]+)$', 1), []) END);

-- All names under which these machines can be asked for: also a task's own id, and what the answer calls them.
CREATE OR REPLACE TEMP MACRO all_names(machines, also) AS
  to_json(list_sort(list_distinct(list_filter(
    machines || coalesce(also, [])
    || [regexp_extract(m, '^ecs:.+_([^_]+)_[^_]+$', 1) FOR m IN machines]
    || [regexp_extract(m, ':task/(?:.*/)?([^/]+)$', 1) FOR m IN machines]
    || [regexp_extract(m, '[:/]((?:m?i|eice)-[0-9A-Za-z]+)$', 1) FOR m IN machines],
    lambda text: text <> ''))));

-- The session that a door call is about, of Session Manager or of the door's own kind; a refused call may name it in its message.
CREATE OR REPLACE TEMP MACRO session_of(source, name, asked, answered, message) AS
  coalesce(session_in(source, name, asked, answered),
           CASE WHEN source IN ('ssm.amazonaws.com', 'ssmmessages.amazonaws.com')
             THEN nullif(regexp_extract(message, ':session/([^ ]+)', 1), '') END);

-- Whether it is worth looking for a failure that has no errorCode: what most records lack is a search for a text only.
CREATE OR REPLACE TEMP MACRO may_tell_failure(response, details) AS
  details IS NOT NULL OR contains(response, '"Failure"') OR contains(response, 'uccess":') OR contains(response, '"_return":false')
  OR contains(response, '"errorCode":');

-- A failure told without an errorCode: `ConsoleLogin: Failure`, `success: false`, or such words of the service's own details.
CREATE OR REPLACE TEMP MACRO failure_of(response, details) AS
  CASE
    WHEN list_contains(json_extract_string(response, '$.*'), 'Failure') THEN 'Failure'
    WHEN 'false' IN (response ->> '$.success', response ->> '$.Success', response ->> '$._return') THEN 'success: false'
    WHEN (response ->> '$.errorCode') <> '' THEN response ->> '$.errorCode'
    WHEN list_has_any([lower(text) FOR text IN json_extract_string(details, '$.*')], ['failure', 'failed']) THEN 'Failure'
    WHEN 'false' IN (details ->> '$.success', details ->> '$.Success') THEN 'success: false'
    WHEN (details ->> '$.errorCode') <> '' THEN details ->> '$.errorCode'
  END;
