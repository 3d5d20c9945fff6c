-- Records that were loaded but must not be trusted, of the objects $1 to $2.
INSERT INTO damage
  SELECT object_id, record_index, 'duplicate-key', NULL,
         'a key occurs twice in the record, and parsers disagree on which value counts; other_fields holds the whole record'
  FROM events
  WHERE object_id BETWEEN $1 AND $2 AND contains(flags, 'duplicate-key')
