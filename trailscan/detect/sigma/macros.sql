-- The pieces of conditions over JSON, made anew on each connection that runs Sigma rules.

-- Arrays replaced by their elements, and arrays within arrays by theirs.
CREATE OR REPLACE TEMP MACRO sigma_opened_once(nodes) AS
  flatten([CASE WHEN json_type(n) = 'ARRAY' THEN json_extract(n, '$[*]') ELSE [n] END FOR n IN nodes]);
CREATE OR REPLACE TEMP MACRO sigma_opened(nodes) AS sigma_opened_once(sigma_opened_once(nodes));

-- Every value in a JSON text, without its escapes. JSON that DuckDB holds is well-formed, so its tokens tell values from the
-- names of fields: these are followed by a colon.
CREATE OR REPLACE TEMP MACRO sigma_leaves(j) AS
  list_transform(
    list_filter(
      regexp_extract_all(j::VARCHAR, '"(?:[^"\\]|\\.)*"(?:\s*:)?|[-+.0-9eE]+|true|false'),
      lambda t: NOT ends_with(t, ':')),
    lambda t: CASE WHEN starts_with(t, '"') THEN json_extract_string(t, '$') ELSE t END);

-- The values at a path: mostly one, found at once; else `nodes`, which says where arrays lead.
CREATE OR REPLACE TEMP MACRO sigma_values(j, path, nodes) AS
  CASE
    WHEN j IS NULL THEN NULL
    WHEN json_type(j, path) IS NULL AND NOT contains(j::VARCHAR, '[') THEN NULL
    WHEN json_type(j, path) NOT IN ('OBJECT', 'ARRAY', 'NULL') THEN [json_extract_string(j, path)]
    ELSE flatten([sigma_leaves(n) FOR n IN nodes])
  END;
