-- Doors: what opened a shell, a tunnel or a command on a machine, put together from the calls of `events`, a row a door. Any
-- stock DuckDB client can ask these views; docs/tables.md explains their columns.
-- Sources: AWS, "Systems Manager API Reference" (StartSession, ResumeSession, TerminateSession, SendCommand), "ECS API
-- Reference" (ExecuteCommand), "EC2 Instance Connect API Reference", "Logging Session Manager activity", "CloudTrail record
-- contents".

-- EC2 instance, hybrid node, ECS container; a target may be the first of several.
CREATE MACRO kind_of_target(target, name) AS
  CASE
    WHEN name = 'ExecuteCommand' OR starts_with(target, 'ecs:') THEN 'ecs'
    WHEN name = 'OpenTunnel' OR starts_with(target, 'i-') THEN 'ec2'
    WHEN starts_with(target, 'mi-') THEN 'hybrid'
    WHEN target IS NOT NULL THEN 'other'
  END;

-- The name of a document that may be given as an ARN.
CREATE MACRO document_name(request) AS
  regexp_replace(json_extract_string(request, '$.documentName'), '^arn:.*:document/', '', 's');

-- A parameter of a document: a list of texts, or, as some tools write it, one text. NULL when there is none.
CREATE MACRO parameter(parameters, path) AS
  CASE json_type(parameters, path)
    WHEN 'ARRAY' THEN array_to_string(json_extract_string(parameters, path || '[*]'), ' ')
    ELSE json_extract_string(parameters, path)
  END;

-- `:5432`, the document's own default when no port was given, and nothing when the parameters are redacted.
CREATE MACRO port_of(parameters, usual) AS
  CASE WHEN coalesce(json_type(parameters), 'NULL') IN ('OBJECT', 'NULL')
    THEN ':' || coalesce(parameter(parameters, '$.portNumber'), usual) ELSE '' END;

-- What a document of Session Manager is for, in a few words. Parameters that are redacted are one text.
CREATE MACRO purpose_of_document(document, parameters) AS
  CASE
    WHEN document = 'SSM-SessionManagerRunShell' THEN 'shell'
    WHEN document = 'AWS-StartSSHSession' THEN
      CASE WHEN port_of(parameters, '22') IN (':22', '') THEN 'ssh' ELSE 'ssh to node' || port_of(parameters, '22') END
    WHEN document = 'AWS-StartPortForwardingSession' THEN 'port forward to node' || port_of(parameters, '80')
    WHEN document = 'AWS-StartPortForwardingSessionToRemoteHost' THEN
      'forward through node to ' || coalesce(parameter(parameters, '$.host'), 'another host') || port_of(parameters, '80')
    WHEN document = 'AWS-StartPortForwardingSessionToSocket' THEN 'forward to a socket on node'
    WHEN document IN ('AWS-StartInteractiveCommand', 'AWS-StartNonInteractiveCommand') THEN
      concat('command: ', coalesce(parameter(parameters, '$.command'), json_extract_string(parameters, '$')))
    ELSE 'document ' || document
  END;

-- What a door was for; NULL where the record does not tell, as that of a refused call does not. Every start that succeeds names
-- its target: a request without one was cut or struck out.
CREATE MACRO purpose_of(name, request) AS
  CASE name
    WHEN 'StartSession' THEN
      CASE WHEN json_extract_string(request, '$.target') IS NOT NULL THEN
        purpose_of_document(coalesce(document_name(request), 'SSM-SessionManagerRunShell'),
                            json_extract(request, '$.parameters'))
      END
    WHEN 'SendCommand' THEN 'run document ' || document_name(request)
    WHEN 'ExecuteCommand' THEN 'command: ' || json_extract_string(request, '$.command')
    WHEN 'SendSSHPublicKey' THEN 'ssh key' || coalesce(' for ' || json_extract_string(request, '$.instanceOSUser'), '')
    WHEN 'SendSerialConsoleSSHPublicKey' THEN
      'serial console key' || coalesce(' for port ' || json_extract_string(request, '$.serialPort'), '')
    WHEN 'OpenTunnel' THEN 'tunnel' || coalesce(' to port ' || json_extract_string(request, '$.remotePort'), '')
    WHEN 'StartConnection' THEN lower(coalesce(json_extract_string(request, '$.Protocol'), 'rdp'))
  END;

-- Session Manager can log what passes through a shell, never what passes through SSH, a forwarded port or a tunnel.
CREATE MACRO leaves_no_transcript(name, request) AS
  CASE name
    WHEN 'StartSession' THEN coalesce(regexp_matches(document_name(request), '^AWS-Start(SSH|PortForwarding)Session'), false)
    ELSE name IN ('SendSSHPublicKey', 'SendSerialConsoleSSHPublicKey', 'OpenTunnel')
  END;

-- Nodes that a command was sent to by their tags: `tag:Role=web|db`.
CREATE MACRO tags_of(request) AS
  array_to_string([t.key || '=' || array_to_string(t."values", '|')
                   FOR t IN try_cast(json_extract(request, '$.targets') AS STRUCT(key VARCHAR, "values" VARCHAR[])[])], ',');

-- What opens or steers a door: `session` for the three calls of a session, which go together, else the call's own name. Names
-- alone do not do: Athena has a StartSession, too.
CREATE MACRO door_of(source, name) AS
  CASE
    WHEN source = 'ssm.amazonaws.com' AND name IN ('StartSession', 'ResumeSession', 'TerminateSession') THEN 'session'
    WHEN source = 'ssm.amazonaws.com' AND name = 'SendCommand'
      OR source = 'ecs.amazonaws.com' AND name = 'ExecuteCommand'
      OR source = 'ec2-instance-connect.amazonaws.com'
        AND name IN ('SendSSHPublicKey', 'SendSerialConsoleSSHPublicKey', 'OpenTunnel')
      OR source = 'ssm-guiconnect.amazonaws.com' AND name = 'StartConnection' THEN name
  END;

-- What the principal of a call is told apart by: the ARN, which for a role holds role and session.
CREATE MACRO principal_of(user_arn, user_principal_id, user_invoked_by, user_account_id) AS
  coalesce(nullif(user_arn, ''), nullif(user_principal_id, ''), nullif(user_invoked_by, ''), user_account_id);

-- The name that Session Manager begins a session id with when this caller starts one.
CREATE MACRO session_prefix(user_type, user_name, user_session_name, user_arn) AS
  CASE WHEN user_type = 'Root' THEN 'root'
       ELSE coalesce(user_session_name, nullif(user_name, ''), nullif(issuer_name(user_arn), '')) END;

-- The name that a session id begins with: who started it. The rest, after the last hyphen, is random. Those of ECS Exec begin
-- with the service's name.
CREATE MACRO starter_of(session_id) AS
  CASE WHEN NOT starts_with(session_id, 'ecs-execute-command-')
    THEN nullif(regexp_extract(session_id, '^(.*)-', 1, 's'), '') END;

-- Whether a person came without MFA, as far as the record can tell: machines have none, and IAM Identity Center asks for it
-- itself, which mfaAuthenticated does not show.
CREATE MACRO lacks_mfa(user_type, user_session_name, user_issuer_arn, mfa_authenticated) AS
  user_type IN ('IAMUser', 'Root', 'AssumedRole', 'FederatedUser') AND NOT mfa_authenticated
    AND coalesce(NOT regexp_matches(user_session_name, '^m?i-[0-9a-f]+$'), true)
    AND coalesce(NOT contains(user_issuer_arn, '/aws-reserved/sso.amazonaws.com/'), true);

-- Whether a source address is one: AWS services call under their names.
CREATE MACRO is_address(source_ip_address) AS regexp_full_match(source_ip_address, '[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*');

-- The calls of all doors, found by what selects fast among millions of events: two names.
CREATE VIEW door_events AS
SELECT rowid AS row_id, *, door_of(event_source, event_name) AS door_kind
FROM events
WHERE event_source IN ('ssm.amazonaws.com', 'ecs.amazonaws.com', 'ec2-instance-connect.amazonaws.com',
                       'ssm-guiconnect.amazonaws.com')
  AND event_name IN ('StartSession', 'ResumeSession', 'TerminateSession', 'SendCommand', 'ExecuteCommand', 'SendSSHPublicKey',
                     'SendSerialConsoleSSHPublicKey', 'OpenTunnel', 'StartConnection')
  AND door_of(event_source, event_name) IS NOT NULL;

-- The same, each event once: copies are left out; versions that differ under one event id all stay, and are told of. What a
-- record says is the set of its leaves, for tools that rewrite JSON order its keys in their own way; only where a key stands
-- twice does the order count.
CREATE VIEW door_calls AS
WITH twins AS (
  SELECT row_id, door_kind, recipient_account_id, event_id FROM door_events
  QUALIFY event_id IS NULL OR count(*) OVER (PARTITION BY door_kind, recipient_account_id, event_id) > 1
),
written AS (
  SELECT rowid AS row_id, to_json(row(*COLUMNS(* EXCLUDE (object_id, record_index)))) AS record
  FROM events WHERE rowid IN (SELECT row_id FROM twins)
),
doubtful AS (
  SELECT row_id, record FROM twins JOIN written USING (row_id)
  WINDOW twin AS (PARTITION BY door_kind, recipient_account_id, event_id)
  QUALIFY event_id IS NOT NULL AND min(record::VARCHAR) OVER twin <> max(record::VARCHAR) OVER twin
),
leaves AS (
  SELECT row_id, leaf.id, leaf.fullkey, [leaf.fullkey, leaf.type, leaf.atom::VARCHAR] AS said
  FROM doubtful, json_tree(record) AS leaf
),
contents AS (
  SELECT row_id, concat(to_json(list(said ORDER BY said)),
                        CASE WHEN len(list_distinct(list(fullkey))) < count(*) THEN to_json(list(said ORDER BY id)) END) AS content
  FROM leaves GROUP BY row_id
),
meanings AS (
  SELECT row_id, sha256(coalesce(content, record::VARCHAR)) AS meaning FROM written LEFT JOIN contents USING (row_id)
),
once AS (
  SELECT door_events.*, meaning
  FROM door_events LEFT JOIN meanings USING (row_id)
  QUALIFY event_id IS NULL
    OR row_number() OVER (PARTITION BY door_kind, recipient_account_id, event_id, meaning ORDER BY object_id, record_index) = 1
),
-- who() asks the whole identity only for these few, and reading it for all would take longer than all else.
centers AS (
  SELECT row_id, user_identity AS center_identity FROM door_events WHERE user_type = 'IdentityCenterUser'
)
SELECT
  row_id, door_kind, event_time, event_id, event_name, event_source, aws_region, recipient_account_id, source_ip_address,
  user_agent, error_code, result(error_code, error_message) AS result, user_type, user_arn, user_name, user_issuer_arn,
  user_session_name, nullif(user_access_key_id, '') AS user_access_key_id, mfa_authenticated, flags, request_parameters,
  who(user_type, user_name, user_session_name, user_issuer_arn, user_arn, user_principal_id, user_account_id, user_invoked_by,
      center_identity) AS who,
  [user_name, user_session_name, issuer_name(user_issuer_arn), user_source_identity] AS names,
  [nullif(user_arn, ''), user_issuer_arn] AS arns,
  principal_of(user_arn, user_principal_id, user_invoked_by, user_account_id) AS principal,
  session_prefix(user_type, user_name, user_session_name, user_arn) AS caller,
  coalesce(target, CASE WHEN event_name = 'SendCommand' THEN tags_of(request_parameters) END) AS target,
  -- A refused start has no session, and what its message names is no session of its own.
  CASE WHEN door_kind <> 'session' OR event_name <> 'StartSession' OR error_code IS NULL AND error_message IS NULL
    THEN nullif(session_id, '') END AS session_id,
  event_id IS NOT NULL AND count(*) OVER (PARTITION BY door_kind, recipient_account_id, event_id) > 1 AS in_conflict,
  -- Place in time, then in the order in which a session goes; never by the object that held it.
  row_number() OVER (
    PARTITION BY door_kind
    ORDER BY event_time NULLS LAST,
             CASE event_name WHEN 'ResumeSession' THEN 1 WHEN 'TerminateSession' THEN 2 ELSE 0 END,
             event_id, recipient_account_id, meaning) AS place
FROM once LEFT JOIN centers USING (row_id);

-- A row a door, of whatever kind. Calls of one session go together by its id, account and region; every other call is a row of
-- its own: another door, a refused start, a call that names no session.
CREATE VIEW all_doors AS
WITH calls AS (
  SELECT *, result = 'ok' AS done, event_name NOT IN ('ResumeSession', 'TerminateSession') AS opens,
         CASE WHEN opens THEN coalesce(event_id, 'row ' || row_id) END AS start_id,
         CASE WHEN door_kind <> 'session' OR session_id IS NULL THEN row_id END AS alone
  FROM door_calls
),
marked AS (
  SELECT *,
    row_number() OVER (PARTITION BY door_kind, recipient_account_id, aws_region, session_id, alone, source_ip_address
                       ORDER BY place) = 1 AS new_address,
    row_number() OVER (PARTITION BY door_kind, recipient_account_id, aws_region, session_id, alone, user_agent
                       ORDER BY place) = 1 AS new_agent
  FROM calls
),
gathered AS (
  SELECT
    door_kind, recipient_account_id AS account_id, aws_region AS region, session_id, alone,
    starter_of(session_id) AS starter,
    arg_min(marked, place) FILTER (opens) AS opening,
    arg_min(marked, place) FILTER (done) AS seen,
    arg_min(marked, place) AS tried,
    arg_min(marked, place) FILTER (done AND event_name = 'TerminateSession') AS ending,
    count(*) FILTER (done AND event_name = 'ResumeSession') AS resumes,
    count(*) FILTER (done AND event_name = 'TerminateSession') AS terminates,
    min(start_id) <> max(start_id) AS several_starts,
    min(principal) FILTER (done) <> max(principal) FILTER (done) AS several_principals,
    min(source_ip_address) FILTER (done) <> max(source_ip_address) FILTER (done) AS several_addresses,
    bool_or(done AND caller <> starter_of(session_id)) AS strangers,
    bool_or(result = 'denied') AS any_denied,
    bool_or(event_name = 'ResumeSession' AND result = 'denied') AS resume_denied,
    bool_or(event_name = 'ResumeSession' AND starts_with(result, 'failed')) AS resume_failed,
    bool_or(event_name = 'TerminateSession' AND result = 'denied') AS terminate_denied,
    bool_or(event_name = 'TerminateSession' AND starts_with(result, 'failed')) AS terminate_failed,
    bool_or(in_conflict) AS in_conflict,
    bool_or(contains(flags, 'duplicate-key')) AS twin_keys,
    min(event_time) AS first_seen_at,
    max(event_time) AS last_seen_at,
    min(event_time) FILTER (done AND NOT opens) AS next_at,
    max(event_time) FILTER (done) AS used_until,
    list(source_ip_address ORDER BY place) FILTER (new_address AND source_ip_address IS NOT NULL) AS source_ip_addresses,
    list(user_agent ORDER BY place) FILTER (new_agent AND user_agent IS NOT NULL) AS user_agents,
    list_sort(list_distinct(flatten(list(names)))) AS names,
    list_sort(list_distinct(flatten(list(arns)))) AS arns,
    list_sort(list_distinct(list(user_access_key_id))) AS access_keys,
    list_sort(list_distinct(list(event_name))) AS event_names,
    list_sort(list_distinct(list(error_code))) AS error_codes,
    list(event_id ORDER BY place) FILTER (event_id IS NOT NULL) AS event_ids,
    list(row_id ORDER BY place) AS row_ids
  FROM marked
  GROUP BY door_kind, account_id, region, session_id, alone
),
judged AS (
  SELECT *,
    coalesce(opening, seen, tried) AS told_by,  -- the call that says what there is to say of it
    CASE WHEN seen IS NOT NULL THEN 'opened' WHEN any_denied THEN 'denied' ELSE 'failed' END AS outcome,
    opening.event_time AS started_at,
    ending.event_time AS ended_at
  FROM gathered
),
compared AS (
  SELECT *,
    -- What is known of a door's time: from its opening to its end or, without one, to the last call that used it.
    outcome = 'opened' AND told_by.principal IS NOT NULL AND started_at IS NOT NULL AS comparable,
    greatest(started_at, coalesce(ended_at, used_until)) AS known_until
  FROM judged
),
placed AS (
  SELECT *,
    comparable AND coalesce(
      max(known_until) OVER (by_start ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) > started_at
      OR lead(started_at) OVER by_start < known_until, false) AS overlapping,
    comparable AND told_by.target IS NOT NULL
      AND row_number() OVER (PARTITION BY door_kind, comparable, told_by.principal, told_by.target
                             ORDER BY started_at, told_by.place) = 1 AS first_time,
    -- The first door that a principal opened from this address, after it had opened some from others.
    comparable AND is_address(told_by.source_ip_address)
      AND row_number() OVER (PARTITION BY door_kind, comparable, told_by.principal, told_by.source_ip_address
                             ORDER BY started_at, told_by.place) = 1
      AND count(*) FILTER (is_address(told_by.source_ip_address)) OVER (
            PARTITION BY door_kind, comparable, told_by.principal ORDER BY started_at, told_by.place
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) > 0 AS from_new_address
  FROM compared
  WINDOW by_start AS (
    PARTITION BY door_kind, comparable, told_by.principal ORDER BY started_at, known_until DESC, told_by.place)
)
SELECT
  session_id,
  outcome,
  started_at,
  ended_at,
  CASE
    WHEN outcome <> 'opened' OR door_kind NOT IN ('session', 'ExecuteCommand') THEN NULL
    WHEN ending IS NULL THEN 'no end recorded'
    WHEN ending.principal = opening.principal THEN 'terminated by starter'
    WHEN ending.principal <> opening.principal THEN 'terminated by another principal'
    WHEN starter IS NULL OR ending.caller IS NULL THEN 'terminated, starter unknown'
    WHEN ending.caller = starter THEN 'terminated by starter'
    ELSE 'terminated by another principal'
  END AS end_status,
  CASE WHEN ended_at >= started_at THEN date_sub('second', started_at, ended_at) END AS duration_s,
  resumes,
  told_by.who AS who,
  told_by.user_name AS user_name,
  told_by.user_arn AS user_arn,
  told_by.user_issuer_arn AS user_issuer_arn,
  told_by.mfa_authenticated AS mfa_authenticated,
  told_by.user_access_key_id AS user_access_key_id,
  to_json(coalesce(source_ip_addresses, [])) AS source_ip_addresses,
  to_json(coalesce(user_agents, [])) AS user_agents,
  told_by.target AS target,
  kind_of_target(told_by.target, told_by.event_name) AS target_kind,
  json_extract_string(told_by.request_parameters, '$.documentName') AS document,
  purpose_of(told_by.event_name, told_by.request_parameters) AS purpose,
  coalesce(json_extract_string(told_by.request_parameters, '$.reason'),
           json_extract_string(told_by.request_parameters, '$.comment')) AS reason,
  account_id,
  region,
  nullif(concat_ws(',',
    CASE WHEN told_by.user_type = 'Root' THEN 'root' END,
    CASE WHEN lacks_mfa(told_by.user_type, told_by.user_session_name, told_by.user_issuer_arn, told_by.mfa_authenticated)
      THEN 'no-mfa' END,
    CASE WHEN several_principals OR opening IS NULL AND strangers THEN 'principal-changed' END,
    CASE WHEN several_addresses THEN 'address-changed' END,
    CASE WHEN overlapping THEN 'overlapping' END,
    CASE WHEN first_time THEN 'first-time' END,
    CASE WHEN from_new_address THEN 'new-address' END,
    CASE WHEN outcome = 'opened' AND leaves_no_transcript(told_by.event_name, told_by.request_parameters)
      THEN 'no-transcript' END,
    CASE WHEN several_starts THEN 'several-starts' END,
    CASE WHEN terminates > 1 THEN 'several-terminates' END,
    CASE WHEN resume_denied THEN 'resume-denied' END,
    CASE WHEN resume_failed THEN 'resume-failed' END,
    CASE WHEN terminate_denied THEN 'terminate-denied' END,
    CASE WHEN terminate_failed THEN 'terminate-failed' END,
    CASE WHEN opening IS NULL THEN 'no-start-in-archive' END,
    CASE WHEN outcome = 'opened' AND session_id IS NULL AND door_kind IN ('session', 'ExecuteCommand')
      THEN 'no-session-id' END,
    CASE WHEN next_at < started_at THEN 'clock-backwards' END,
    CASE WHEN in_conflict THEN 'conflicting-records' END,
    CASE WHEN twin_keys THEN 'duplicate-key' END), '') AS flags,
  to_json(coalesce(event_ids, [])) AS event_ids,
  told_by.event_name AS door,
  told_by.event_source AS event_source,
  starter,
  terminates,
  first_seen_at,
  last_seen_at,
  to_json(event_names) AS event_names,
  to_json(error_codes) AS error_codes,
  to_json(names) AS names,
  to_json(arns) AS arns,
  to_json(access_keys) AS access_keys,
  row_ids,
  door_kind
FROM placed;

-- Session Manager's own, which is what most mean by a session.
CREATE VIEW sessions AS SELECT * EXCLUDE (door_kind) FROM all_doors WHERE door_kind = 'session';

-- The other ways to a machine, in the same columns.
CREATE VIEW doors AS SELECT * EXCLUDE (door_kind) FROM all_doors WHERE door_kind <> 'session';
