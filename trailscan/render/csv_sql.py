r"""A line of `as_csv` as an expression of SQL, so that a database can write millions of them: the same bytes, cell for cell."""

from collections.abc import Sequence

from trailscan.query.table import Column

# What `escape.for_spreadsheet` marks. Not an IN list: DuckDB makes a join of it, for every column.
_FORMULA = r"regexp_matches({cell}, '^[''=+\-@\t\r\n\x{{ff1d}}\x{{ff0b}}\x{{ff0d}}\x{{ff20}}]')"
# A quick look at the first byte: most cells begin with a slash, a digit, a letter or a brace, none of which is marked.
_ODD = "{cell} < '/' OR ({cell} >= ':' AND {cell} < 'A') OR {cell} >= chr(127) OR contains({cell}, chr(0))"
_QUOTED = "contains({cell}, '\"') OR contains({cell}, ',') OR contains({cell}, chr(10)) OR contains({cell}, chr(13))"
_SHOWN = f"concat(CASE WHEN {_FORMULA} THEN '''' END, replace({{cell}}, chr(0), '\\x00'))"
# The rare cells first, so that the others are not taken apart.
_TEXT = f"""
CASE
  WHEN {{cell}} IS NULL THEN ''
  WHEN {_ODD} THEN
    CASE
      WHEN {{cell}} = '' THEN '""'
      WHEN {_QUOTED} THEN concat('"', replace({_SHOWN}, '"', '""'), '"')
      ELSE {_SHOWN}
    END
  WHEN {_QUOTED} THEN concat('"', replace({{cell}}, '"', '""'), '"')
  ELSE {{cell}}
END"""
_FRACTION = "CASE WHEN microsecond({cell}) % 1000000 > 0 THEN strftime({cell}, '.%f') END"
_TIMESTAMP = f"""
CASE WHEN {{cell}} IS NULL THEN '' ELSE concat(strftime({{cell}}, '%Y-%m-%dT%H:%M:%S'), {_FRACTION}, 'Z') END"""
_OTHER = "coalesce({cell}::VARCHAR, '')"


def line_sql(columns: Sequence[Column]) -> str:
    """One line, with its newline, from columns of these names and kinds; a line that would be blank is `""`."""
    cells = ", ',', ".join(map(_cell, columns))
    line = f"""coalesce(nullif({cells}, ''), '""')""" if len(columns) == 1 else cells
    return f"concat({line}, chr(10))"


def _cell(column: Column) -> str:
    name = '"' + column.name.replace('"', '""') + '"'
    if column.kind in {"text", "json"}:
        return _TEXT.format(cell=f"{name}::VARCHAR")
    return (_TIMESTAMP if column.kind == "timestamp" else _OTHER).format(cell=name)
