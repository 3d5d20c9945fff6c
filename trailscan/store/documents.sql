-- What documents of Systems Manager are for: the pieces that the table of doors is written with.

-- The name of a document that may be given as an ARN.
CREATE MACRO document_name(document) AS regexp_replace(document, '^arn:.*:(?:document|automation-definition)/', '', 's');

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

-- What a session was for. Every start that succeeds names its target: a request without one was cut or struck out.
CREATE MACRO purpose_of_session(request) AS
  CASE WHEN json_extract_string(request, '$.target') IS NOT NULL THEN
    purpose_of_document(coalesce(document_name(json_extract_string(request, '$.documentName')), 'SSM-SessionManagerRunShell'),
                        json_extract(request, '$.parameters'))
  END;

-- Whether a document runs what its caller says on a machine. Of AWS's own documents most do not; one that others wrote may. What
-- a refused call asked for stands in its message, if anywhere.
CREATE MACRO runs_commands(document, message) AS
  coalesce(
    NOT regexp_matches(document_name(coalesce(document, regexp_extract(message, ':(?:automation-definition|document)/([^ :]+)', 1))),
                       '^(?:AWS|Amazon)')
    OR regexp_matches(document_name(coalesce(document, regexp_extract(message, ':(?:automation-definition|document)/([^ :]+)', 1))),
                      '^AWS\w*-(?:Run|Apply|Install|Configure|Execute)')
      AND NOT regexp_matches(document, 'AWS-RunPatchBaseline$'), true);
