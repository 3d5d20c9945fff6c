-- Doors: what opened a shell, a tunnel or a command on a machine, put together from the calls of `events`, a row a door. Any
-- stock DuckDB client can ask these views; docs/tables.md explains their columns.
-- Sources: AWS, "Systems Manager API Reference" (StartSession, ResumeSession, TerminateSession, SendCommand), "ECS API
-- Reference" (ExecuteCommand), "EC2 Instance Connect API Reference", "Logging Session Manager activity", "CloudTrail record
-- contents".

-- EC2 instance, hybrid node, ECS container, or what else the door leads to; a target may be the first of several.
CREATE MACRO kind_of_target(target, source, name) AS
  CASE
    WHEN machine_of(source, name) IS NOT NULL THEN machine_of(source, name)
    WHEN starts_with(target, 'ecs:') OR regexp_matches(target, '^arn:[^:]*:ecs:.*:task/') THEN 'ecs'
    WHEN starts_with(target, 'i-') OR starts_with(target, 'eice-') THEN 'ec2'
    WHEN starts_with(target, 'mi-') THEN 'hybrid'
    WHEN target IS NOT NULL THEN 'other'
  END;

-- Session Manager can log what passes through a shell, never what passes through SSH, a forwarded port or a tunnel.
CREATE MACRO leaves_no_transcript(source, name, request) AS
  coalesce(keeps_silent(source, name),
           name = 'StartSession' AND regexp_matches(document_name(json_extract_string(request, '$.documentName')),
                                                    '^AWS-Start(SSH|PortForwarding)Session'), false);

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

-- door_events

-- Whether a call came from a machine's own role: the session of such a role has the machine's id for its name.
CREATE MACRO is_machine(user_session_name) AS coalesce(regexp_matches(user_session_name, '^m?i-[0-9A-Za-z]+$'), false);

-- Temporary credentials of just-in-time access: the key that GetAccessToken gave, and who had asked for it.
CREATE VIEW access_grants AS
WITH asked AS (
  SELECT recipient_account_id, aws_region, session_id,
         arg_min(who(user_type, user_name, user_session_name, user_issuer_arn, user_arn, user_principal_id, user_account_id,
                     user_invoked_by, user_identity), event_time) AS requested_by
  FROM events
  WHERE event_source = 'ssm.amazonaws.com' AND event_name = 'StartAccessRequest' AND session_id IS NOT NULL
    AND error_code IS NULL AND error_message IS NULL
  GROUP BY ALL
)
SELECT response_elements ->> '$.credentials.accessKeyId' AS access_key, min(token.session_id) AS access_request,
       min(requested_by) AS requested_by
FROM events AS token
LEFT JOIN asked ON asked.session_id = token.session_id
  AND asked.recipient_account_id IS NOT DISTINCT FROM token.recipient_account_id
  AND asked.aws_region IS NOT DISTINCT FROM token.aws_region
WHERE event_source = 'ssm.amazonaws.com' AND event_name = 'GetAccessToken' AND error_code IS NULL AND error_message IS NULL
  AND (response_elements ->> '$.credentials.accessKeyId') <> ''
GROUP BY ALL;

-- The same, each event once: copies are left out; versions that differ under one event id all stay, and are told of. What a
-- record says is the set of its leaves, for tools that rewrite JSON order its keys in their own way; only where a key stands
-- twice does the order count.
CREATE VIEW door_calls AS
WITH addenda AS (
  SELECT row_id, door_kind, event_name, recipient_account_id, aws_region, other_fields ->> '$.addendum.originalEventID' AS original
  FROM door_events WHERE contains(flags, 'updated-data')
),
-- The events that an addendum replaces; never an addendum, so that no two can make each other vanish.
replaced AS (
  SELECT events.row_id, events.event_id, addenda.row_id AS addendum
  FROM door_events AS events JOIN addenda
    ON events.event_id = addenda.original AND events.door_kind = addenda.door_kind AND events.event_name = addenda.event_name
    AND events.recipient_account_id IS NOT DISTINCT FROM addenda.recipient_account_id
    AND events.aws_region IS NOT DISTINCT FROM addenda.aws_region
  WHERE NOT coalesce(contains(events.flags, 'updated-data'), false)
),
originals AS (
  SELECT addendum AS row_id, list_sort(list(row_id)) AS replaced_rows, list_sort(list_distinct(list(event_id))) AS replaced_ids
  FROM replaced GROUP BY addendum
),
standing AS (SELECT * FROM door_events WHERE row_id NOT IN (SELECT row_id FROM replaced)),
twins AS (
  SELECT row_id, door_kind, recipient_account_id, event_id FROM standing
  QUALIFY event_id IS NULL OR count(*) OVER (PARTITION BY door_kind, recipient_account_id, event_id) > 1
),
written AS (
  SELECT rowid AS row_id, to_json(row(*COLUMNS(* EXCLUDE (object_id, record_index, targets, failure)))) AS record
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
  SELECT standing.*, meaning
  FROM standing LEFT JOIN meanings USING (row_id)
  QUALIFY event_id IS NULL
    OR row_number() OVER (PARTITION BY door_kind, recipient_account_id, event_id, meaning ORDER BY object_id, record_index) = 1
),
-- who() asks the whole identity only for these few, and reading it for all would take longer than all else.
centers AS (
  SELECT row_id, user_identity AS center_identity FROM standing WHERE user_type = 'IdentityCenterUser'
)
SELECT
  row_id, door_kind, role, event_time, event_id, event_name, event_source, aws_region, recipient_account_id, source_ip_address,
  user_agent, error_code, result(error_code, error_message, failure) AS result, user_type, user_arn, user_name, user_issuer_arn,
  user_session_name, nullif(user_access_key_id, '') AS user_access_key_id, mfa_authenticated, flags, request_parameters,
  who(user_type, user_name, user_session_name, user_issuer_arn, user_arn, user_principal_id, user_account_id, user_invoked_by,
      center_identity) AS who,
  [user_name, user_session_name, issuer_name(user_issuer_arn), user_source_identity] AS names,
  [nullif(user_arn, ''), user_issuer_arn] AS arns,
  principal_of(user_arn, user_principal_id, user_invoked_by, user_account_id) AS principal,
  session_prefix(user_type, user_name, user_session_name, user_arn) AS caller,
  target, targets,
  -- A refused start has no session, and what its message names is no session of its own.
  CASE WHEN NOT is_grouped(door_kind) OR role <> 'opens'
         OR error_code IS NULL AND error_message IS NULL AND failure IS NULL THEN nullif(session_id, '') END AS session_id,
  event_id IS NOT NULL AND count(*) OVER (PARTITION BY door_kind, recipient_account_id, event_id) > 1 AS in_conflict,
  replaced_rows, replaced_ids,
  -- Place in time, then in the order in which a session goes; never by the object that held it.
  row_number() OVER (
    PARTITION BY door_kind
    ORDER BY event_time NULLS LAST, step_of(event_source, event_name), event_id, recipient_account_id, meaning) AS place
FROM once LEFT JOIN centers USING (row_id) LEFT JOIN originals USING (row_id);

-- A row a door, of whatever kind. Calls of one session go together by its id, account and region; every other call is a row of
-- its own: another door, a refused start, a call that names no session.
CREATE VIEW all_doors AS
WITH calls AS (
  SELECT *, result = 'ok' AS done, role = 'opens' AS opens, role = 'channel' AS channel,
         channel AND is_machine(user_session_name) AS by_node,
         CASE WHEN opens THEN coalesce(event_id, 'row ' || row_id) END AS start_id,
         CASE WHEN NOT is_grouped(door_kind) OR session_id IS NULL THEN row_id END AS alone
  FROM door_calls
),
marked AS (
  SELECT *,
    row_number() OVER (PARTITION BY door_kind, recipient_account_id, aws_region, session_id, alone, by_node, source_ip_address
                       ORDER BY place) = 1 AS new_address,
    row_number() OVER (PARTITION BY door_kind, recipient_account_id, aws_region, session_id, alone, by_node, user_agent
                       ORDER BY place) = 1 AS new_agent
  FROM calls
),
gathered AS (
  SELECT
    door_kind, recipient_account_id AS account_id, aws_region AS region, session_id, alone,
    starter_of(session_id) AS starter,
    arg_min(marked, place) FILTER (opens) AS opening,
    arg_min(marked, place) FILTER (done AND NOT channel) AS seen,
    arg_min(marked, place) FILTER (done AND channel) AS seen_channel,
    arg_min(marked, place) AS tried,
    arg_min(marked, place) FILTER (done AND role = 'ends') AS ending,
    count(*) FILTER (done AND role = 'resumes') AS resumes,
    count(*) FILTER (done AND role = 'ends') AS terminates,
    bool_or(done AND success_of(event_source, event_name) = 'opened') AS any_opened,
    bool_or(done AND success_of(event_source, event_name) = 'accepted') AS any_accepted,
    bool_or(done) AS any_done,
    -- The node opens its end of a channel under its own role or, by its address, under a service's name; every other is a client's.
    bool_or(done AND by_node) AS node_seen,
    bool_or(done AND by_node AND event_name = 'OpenDataChannel') AS node_opened,
    list_distinct(list(source_ip_address) FILTER (done AND by_node)) AS node_addresses,
    list_sort(list_distinct(list(source_ip_address) FILTER (done AND channel AND NOT by_node AND event_name = 'OpenDataChannel')))
      AS opener_addresses,
    bool_or(done AND channel AND NOT by_node AND event_name = 'OpenDataChannel') AS any_opener,
    min(start_id) <> max(start_id) AS several_starts,
    min(principal) FILTER (done AND NOT channel) <> max(principal) FILTER (done AND NOT channel) AS several_principals,
    min(source_ip_address) FILTER (done AND NOT channel) <> max(source_ip_address) FILTER (done AND NOT channel)
      AS several_addresses,
    bool_or(done AND NOT channel AND caller <> starter_of(session_id)) AS strangers,
    bool_or(result = 'denied') AS any_denied,
    bool_or(role = 'resumes' AND result = 'denied') AS resume_denied,
    bool_or(role = 'resumes' AND starts_with(result, 'failed')) AS resume_failed,
    bool_or(role = 'ends' AND result = 'denied') AS terminate_denied,
    bool_or(role = 'ends' AND starts_with(result, 'failed')) AS terminate_failed,
    bool_or(in_conflict) AS in_conflict,
    bool_or(contains(flags, 'duplicate-key')) AS twin_keys,
    bool_or(replaced_rows IS NOT NULL) AS updated,
    min(event_time) AS first_seen_at,
    max(event_time) AS last_seen_at,
    min(event_time) FILTER (done AND NOT opens AND NOT by_node) AS next_at,
    max(event_time) FILTER (done) AS used_until,
    list(source_ip_address ORDER BY place) FILTER (new_address AND NOT by_node AND source_ip_address IS NOT NULL) AS source_ip_addresses,
    list(user_agent ORDER BY place) FILTER (new_agent AND NOT by_node AND user_agent IS NOT NULL) AS user_agents,
    list_sort(list_distinct(flatten(list(names) FILTER (NOT by_node)))) AS names,
    list_sort(list_distinct(flatten(list(arns) FILTER (NOT by_node)))) AS arns,
    list_sort(list_distinct(list(user_access_key_id) FILTER (NOT by_node))) AS access_keys,
    list_sort(list_distinct(list(event_name))) AS event_names,
    list_sort(list_distinct(list(error_code))) AS error_codes,
    list(event_id ORDER BY place) FILTER (event_id IS NOT NULL) AS own_ids,
    list(row_id ORDER BY place) AS own_rows,
    coalesce(flatten(list(replaced_ids ORDER BY place) FILTER (replaced_ids IS NOT NULL)), []) AS replaced_ids,
    coalesce(flatten(list(replaced_rows ORDER BY place) FILTER (replaced_rows IS NOT NULL)), []) AS replaced_rows
  FROM marked
  GROUP BY door_kind, account_id, region, session_id, alone
),
judged AS (
  SELECT *,
    coalesce(opening, seen, seen_channel, tried) AS told_by,  -- the call that says what there is to say of it
    -- An opener at the node's address may be the node itself, unless its own opening is seen.
    list_filter(opener_addresses, lambda address: node_opened OR NOT coalesce(list_contains(node_addresses, address), false))
      AS client_addresses,
    CASE
      WHEN any_opener AND (node_seen IS NOT TRUE OR node_opened OR len(client_addresses) > 0) THEN true
      WHEN any_opener THEN NULL
      WHEN node_seen OR done_at_once THEN false
    END AS client_connected,
    CASE
      WHEN any_opened OR client_connected THEN 'opened'
      WHEN any_accepted THEN 'accepted'
      WHEN any_done THEN 'unknown'
      WHEN any_denied THEN 'denied'
      ELSE 'failed'
    END AS outcome,
    opening.event_time AS started_at,
    ending.event_time AS ended_at
  FROM (SELECT *, door_kind = 'session' AND opening IS NOT NULL AND resumes = 0
                  AND ending.event_time BETWEEN opening.event_time AND opening.event_time + INTERVAL 1 SECOND AS done_at_once
        FROM gathered)
),
compared AS (
  SELECT *,
    -- What is known of a door's time: from its opening to its end or, without one, to the last call that used it.
    outcome IN ('opened', 'accepted') AND told_by.principal IS NOT NULL AND started_at IS NOT NULL AS comparable,
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
    WHEN outcome NOT IN ('opened', 'unknown') OR door_kind NOT IN ('session', 'ExecuteCommand') THEN NULL
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
  kind_of_target(told_by.target, told_by.event_source, told_by.event_name) AS target_kind,
  coalesce(json_extract_string(told_by.request_parameters, '$.documentName'),
           document_of(told_by.event_source, told_by.event_name, told_by.request_parameters)) AS document,
  purpose_of(told_by.event_source, told_by.event_name, told_by.request_parameters) AS purpose,
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
    CASE WHEN outcome IN ('opened', 'accepted')
      AND leaves_no_transcript(told_by.event_source, told_by.event_name, told_by.request_parameters) THEN 'no-transcript' END,
    CASE WHEN client_connected = false AND outcome = 'opened' THEN 'no-client-connected' END,
    CASE WHEN is_address(opening.source_ip_address)
      AND len(list_filter(client_addresses, lambda address: is_address(address) AND address <> opening.source_ip_address)) > 0
      THEN 'client-from-other-address' END,
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
    CASE WHEN twin_keys THEN 'duplicate-key' END,
    CASE WHEN updated THEN 'updated-data' END), '') AS flags,
  to_json(coalesce(own_ids, []) || replaced_ids) AS event_ids,
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
  coalesce(told_by.targets, '[]'::JSON) AS targets,
  CASE WHEN client_connected THEN 'connected' WHEN NOT client_connected THEN 'no client connected' END AS client,
  to_json(coalesce(client_addresses, [])) AS client_ip_addresses,
  CASE WHEN node_seen THEN true END AS node_answered,
  requested_by,
  access_request,
  own_rows || replaced_rows AS row_ids,
  door_kind
FROM placed LEFT JOIN access_grants ON access_key = told_by.user_access_key_id;

-- Session Manager's own, which is what most mean by a session.
CREATE VIEW sessions AS SELECT * EXCLUDE (door_kind) FROM all_doors WHERE door_kind = 'session';

-- The other ways to a machine, in the same columns.
CREATE VIEW doors AS SELECT * EXCLUDE (door_kind) FROM all_doors WHERE door_kind <> 'session';
