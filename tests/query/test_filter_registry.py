"""Each filter is declared once: the commands, the API and the names of the question all follow."""

from typing import Any, cast

import pytest
from typer.main import get_command

from trailscan.api import filters_from
from trailscan.cli.main import app
from trailscan.query.filter_registry import FILTERS, Filters


@pytest.mark.parametrize("command", ["query", "sessions"])
def test_a_command_has_an_option_for_each_filter(command):
    options = {
        option.name: option.opts + option.secondary_opts for option in cast("Any", get_command(app)).commands[command].params
    }
    assert [name for name in options if name in FILTERS] == list(FILTERS) == list(Filters._fields)
    assert {name: "/".join(options[name]) for name in FILTERS} == {name: entry.flag_of(name) for name, entry in FILTERS.items()}
    assert options["source_ip"] == ["--source-ip"]


def test_the_api_takes_each_filter_as_a_value_of_its_kind():
    examples = {"texts": "x", "switch": True, "time": "2026-03-01T00:00:00Z"}
    for name, entry in FILTERS.items():
        if entry.kind != "condition":
            assert getattr(filters_from({name: examples[entry.kind]}, None), name) not in ((), None)
            assert filters_from({name: None}, None) == Filters()


def test_texts_are_looked_for_in_events_and_in_sessions():
    texts = {name for name, entry in FILTERS.items() if entry.kind == "texts" and name != "source_ip"}
    assert all(FILTERS[name].events and FILTERS[name].sessions for name in texts)
