-- The tables of an archive. One row of `events` is one CloudTrail record; docs/tables.md explains each column.
-- Columns are CloudTrail's own field names in snake_case, so that public queries port.

CREATE TABLE about (
  name  VARCHAR PRIMARY KEY,
  value VARCHAR NOT NULL
);

-- One row for each object that was fetched, loaded, or tried.
CREATE TABLE objects (
  object_id     BIGINT NOT NULL,
  source        VARCHAR NOT NULL,   -- s3, event-history, file
  bucket        VARCHAR,
  key           VARCHAR NOT NULL,   -- the S3 key; for a local file its name below the path that was given
  path          VARCHAR,            -- where the bytes lie; relative to the archive for what sync fetched
  copy          VARCHAR,            -- where in the archive a copy of the file at `path` lies, if it was taken in
  member        VARCHAR,            -- the member's name, in a .tar or .zip
  member_offset BIGINT,
  kind          VARCHAR,            -- log, digest, insight, network-activity, aggregated, event-history
  account_id    VARCHAR,            -- of the key, not of the records
  region        VARCHAR,
  delivered_at  TIMESTAMP,
  bytes         BIGINT,             -- as stored, compressed
  etag          VARCHAR,
  version_id    VARCHAR,
  last_modified TIMESTAMP,
  metadata      JSON,               -- S3 user metadata: a digest's signature lives here
  sha256        VARCHAR,            -- of the bytes as stored
  sha256_raw    VARCHAR,            -- of the inflated bytes: what CloudTrail's digests sign
  fetched_at    TIMESTAMP,
  loaded_at     TIMESTAMP,
  only_events   VARCHAR,            -- when loaded with --only: the names, else NULL
  records       BIGINT,             -- records read
  loaded        BIGINT,             -- rows of `events` that came of them
  status        VARCHAR NOT NULL,   -- ok, empty, partial, damaged, altered, not-cloudtrail, failed, fetched
  shape         VARCHAR,
  foreign_elements BIGINT,          -- elements that are sound and not CloudTrail
  foreign_kind  VARCHAR             -- what they, or the whole object, seem to be; NULL where all is CloudTrail's
);

-- Loaded files with the very bytes of another object that is held: of a folder that was moved and loaded again, say.
CREATE MACRO copied_files() AS TABLE
  SELECT object_id FROM (FROM objects WHERE sha256 IN (SELECT sha256 FROM objects WHERE source = 'file'))
  QUALIFY source = 'file' AND row_number() OVER (PARTITION BY sha256 ORDER BY source = 'file', object_id) > 1;

CREATE TABLE events (
  object_id            BIGINT NOT NULL,
  record_index         INTEGER NOT NULL,
  event_time           TIMESTAMP,
  event_id             VARCHAR,
  event_name           VARCHAR,
  event_source         VARCHAR,
  event_version        VARCHAR,
  event_type           VARCHAR,
  event_category       VARCHAR,
  aws_region           VARCHAR,
  recipient_account_id VARCHAR,
  source_ip_address    VARCHAR,
  user_agent           VARCHAR,
  error_code           VARCHAR,
  error_message        VARCHAR,
  read_only            BOOLEAN,
  management_event     BOOLEAN,
  request_id           VARCHAR,
  shared_event_id      VARCHAR,
  vpc_endpoint_id      VARCHAR,
  user_type            VARCHAR,
  user_arn             VARCHAR,
  user_name            VARCHAR,
  user_principal_id    VARCHAR,
  user_account_id      VARCHAR,
  user_access_key_id   VARCHAR,
  user_invoked_by      VARCHAR,
  user_issuer_arn      VARCHAR,
  user_session_name    VARCHAR,
  user_source_identity VARCHAR,
  mfa_authenticated    BOOLEAN,
  target               VARCHAR,     -- the machine, or several with commas, for the calls that open or steer a shell
  session_id           VARCHAR,     -- the Session Manager session, for the same calls
  flags                VARCHAR,     -- duplicate-key, type-mismatch, odd-time, updated-data, envelope-..., summary-only; NULL for a plain record
  targets              JSON,        -- every name of every machine that `target` stands for, as a list; NULL where that is NULL
  failure              VARCHAR,     -- a failure that is told without an errorCode, in words of responseElements or serviceEventDetails
  user_identity         JSON USING COMPRESSION zstd,
  request_parameters    JSON USING COMPRESSION zstd,
  response_elements     JSON USING COMPRESSION zstd,
  additional_event_data JSON USING COMPRESSION zstd,
  resources             JSON USING COMPRESSION zstd,
  tls_details           JSON USING COMPRESSION zstd,
  service_event_details JSON USING COMPRESSION zstd,
  other_fields          JSON USING COMPRESSION zstd  -- every field, and every null, that the columns do not hold
);

-- What could not be read or must not be trusted; never only a log line.
CREATE TABLE damage (
  object_id    BIGINT,
  record_index INTEGER,
  what         VARCHAR NOT NULL,
  where_bytes  BIGINT,
  reason       VARCHAR NOT NULL
);

-- The .tar and .zip files that objects were read from, as they were then; `path` as in `objects`.
CREATE TABLE containers (
  path     VARCHAR PRIMARY KEY,
  bytes    BIGINT NOT NULL,
  modified BIGINT NOT NULL          -- nanoseconds since 1970
);

-- What a person has looked at and set aside, with the reason; made anew from the custody log.
CREATE TABLE dismissals (
  id           VARCHAR PRIMARY KEY, -- of a row of `flaws`
  reason       VARCHAR NOT NULL,
  dismissed_at TIMESTAMP NOT NULL
);

-- All that is not in good standing: what is damaged or missing, and what is sound and not CloudTrail. The id follows from the object's
-- name and content and from what is wrong with it, so that it is the same after a rebuild.
CREATE VIEW flaws AS
  WITH found AS (
    SELECT object_id, record_index, what, where_bytes, reason FROM damage
    UNION ALL
    SELECT object_id, NULL, 'not-cloudtrail', NULL, foreign_kind FROM objects WHERE foreign_kind IS NOT NULL
  ),
  named AS (
    SELECT found.*, o.bucket, o.source, o.key,
           left(sha256(concat_ws(chr(31), what, coalesce(o.bucket, ''), coalesce(o.key, ''), coalesce(o.sha256, ''),
                                 coalesce(record_index, -1), coalesce(where_bytes, -1), found.reason)), 12) AS id
    FROM found LEFT JOIN objects o USING (object_id)
  )
  SELECT named.*, d.reason AS dismissed, d.dismissed_at FROM named LEFT JOIN dismissals d USING (id);

-- What the last `verify` found: one row for each thing it checked.
CREATE TABLE verdicts (
  kind       VARCHAR NOT NULL,      -- digest, log, archive, custody
  object     VARCHAR NOT NULL,      -- s3://bucket/key, or a path
  status     VARCHAR NOT NULL,      -- VALID, INVALID_HASH, MISSING_LOG, GAP ...: docs/tables.md
  message    VARCHAR NOT NULL,
  object_id  BIGINT,                -- the object it is about, where one is held
  account_id VARCHAR,
  region     VARCHAR,
  trail      VARCHAR,               -- the trail whose digests speak
  starts_at  TIMESTAMP,             -- the time of delivery that a digest or a gap spans
  ends_at    TIMESTAMP,
  file_bytes    BIGINT,             -- the file that was checked, as it was then: its size,
  file_modified BIGINT              -- and its time of change, nanoseconds since 1970
);

-- What rules found, once each: `detect --new` and `watch` speak of a finding the first time only.
CREATE TABLE findings (
  finding_id VARCHAR PRIMARY KEY,   -- SHA-256 of the rule's id and the hit's identity: the same after a rebuild
  rule_id    VARCHAR NOT NULL,
  title      VARCHAR NOT NULL,
  level      VARCHAR NOT NULL,
  author     VARCHAR,
  tags       VARCHAR,
  language   VARCHAR NOT NULL,      -- event-pattern, sigma, sigma-correlation
  note       VARCHAR,
  account_id VARCHAR,               -- the event to cite: found again by its id, or by its object and index
  event_id   VARCHAR,
  event_time TIMESTAMP,
  bucket     VARCHAR,
  key        VARCHAR,
  record_index INTEGER,
  found_at   TIMESTAMP NOT NULL
);

-- What was to be told of a finding, to whom, and how that went.
CREATE TABLE notices (
  finding_id VARCHAR NOT NULL,
  notifier   VARCHAR NOT NULL,      -- its kind and a fingerprint of its address: never the address, which may hold secrets
  sent_at    TIMESTAMP,             -- NULL while it is still to be sent
  attempts   INTEGER NOT NULL,
  last_error VARCHAR,
  PRIMARY KEY (finding_id, notifier)
);

-- A person's name for the caller. Source: AWS, "CloudTrail userIdentity element".
CREATE MACRO issuer_name(issuer_arn) AS regexp_extract(issuer_arn, '([^/:]+)$', 1);

CREATE MACRO who(user_type, user_name, user_session_name, user_issuer_arn, user_arn, user_principal_id, user_account_id,
                 user_invoked_by, user_identity) AS
  CASE
    WHEN user_type = 'Root' THEN 'root'
    WHEN user_type IN ('AssumedRole', 'Role') THEN
      coalesce(user_session_name, user_name, user_principal_id, nullif(issuer_name(user_arn), ''), user_account_id)
        || coalesce(' (' || nullif(issuer_name(user_issuer_arn), '') || ')', '')
    WHEN user_type = 'IdentityCenterUser' THEN
      coalesce(nullif(user_name, ''), user_identity ->> '$.onBehalfOf.userId', nullif(user_principal_id, ''), user_account_id)
    WHEN user_type = 'FederatedUser' THEN
      coalesce(nullif(user_name, ''), nullif(issuer_name(user_arn), ''), user_principal_id)
    WHEN user_type = 'AWSService' THEN coalesce(user_invoked_by, 'AWS service')
    WHEN user_type = 'AWSAccount' THEN coalesce(user_account_id, user_principal_id)
    ELSE coalesce(nullif(user_name, ''), nullif(issuer_name(user_arn), ''), nullif(user_invoked_by, ''), nullif(user_principal_id, ''),
                  user_account_id)
  END;

-- How the call ended. Denials come under several names (AWS uses them all).
CREATE MACRO result(error_code, error_message, failure) AS
  CASE
    WHEN error_code IS NULL AND error_message IS NULL AND failure IS NULL THEN 'ok'
    WHEN error_code IN ('AccessDenied', 'AccessDeniedException', 'UnauthorizedOperation', 'Client.UnauthorizedOperation',
                        'VpceAccessDenied') THEN 'denied'
    ELSE 'failed: ' || coalesce(error_code, error_message, failure)
  END;

-- Whether a command was addressed by tag, by resource group, or to every machine, rather than to machines by their names.
CREATE MACRO names_nobody(targets) AS
  len(list_filter(targets::VARCHAR[], lambda name: name = '*' OR regexp_matches(name, '^(tag:|tag-key=|resource-groups)'))) > 0;

-- The events with what people ask of them, and where each row comes from.
CREATE VIEW evidence AS
  SELECT e.*, e.rowid AS row_id,
         who(user_type, user_name, user_session_name, user_issuer_arn, user_arn, user_principal_id, user_account_id,
             user_invoked_by, user_identity) AS who,
         result(error_code, error_message, failure) AS result,
         o.source, o.bucket, o.key, coalesce(o.copy, o.path) AS path, o.member, o.member_offset, o.bytes AS object_bytes, o.sha256
  FROM events e LEFT JOIN objects o ON o.object_id = e.object_id;
