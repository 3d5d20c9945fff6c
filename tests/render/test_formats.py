"""Each format is declared once: what can be chosen follows, and each writes what it is asked to."""

import io
from typing import Any, cast

import pytest
from typer.main import get_command

from trailscan.cli.main import app
from trailscan.query.table import Column, Table
from trailscan.render.formats import FORMATS, RECORD, TABULAR


@pytest.mark.parametrize(
    ("command", "known"), [("query", [*TABULAR, RECORD]), ("sessions", [*TABULAR, RECORD]), ("coverage", list(TABULAR))]
)
def test_a_command_offers_each_format(command: str, known: list[str]) -> None:
    options = cast("Any", get_command(app)).commands[command].params
    (choices,) = [list(option.type.choices) for option in options if "--format" in option.opts]
    assert choices == known


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_writes_rows_and_counts_them(name: str) -> None:
    if FORMATS[name].extra:
        pytest.importorskip("pyarrow")
    out = io.BytesIO()
    table = Table((Column("who", "text"),), iter([[("ana",), ("ben",)]]))
    assert FORMATS[name].writer()(table, out) == 2
    assert b"who" in out.getvalue()
