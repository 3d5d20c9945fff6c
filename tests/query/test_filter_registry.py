"""Each filter is declared once: the commands, the API and the names of the question all follow."""

import inspect

import pytest

from trailscan.api import filters_from
from trailscan.cli.commands.query import query
from trailscan.cli.commands.sessions import sessions
from trailscan.query.filter_registry import FILTERS, Filters


@pytest.mark.parametrize("command", [query, sessions])
def test_a_command_has_an_option_for_each_filter(command):
    parameters = inspect.signature(command).parameters
    assert [name for name in parameters if name in FILTERS] == list(FILTERS) == list(Filters._fields)
    flags = {name: parameters[name].annotation.__metadata__[0].param_decls[0] for name in FILTERS}
    assert flags == {name: entry.flag_of(name) for name, entry in FILTERS.items()}
    assert flags["source_ip"] == "--source-ip"


def test_the_api_takes_each_filter_as_a_value_of_its_kind():
    examples = {"texts": "x", "switch": True, "time": "2026-03-01T00:00:00Z"}
    for name, entry in FILTERS.items():
        if entry.kind != "condition":
            assert getattr(filters_from({name: examples[entry.kind]}, None), name) not in ((), None)
            assert filters_from({name: None}, None) == Filters()


def test_texts_are_looked_for_in_events_and_in_sessions():
    texts = {name for name, entry in FILTERS.items() if entry.kind == "texts" and name != "source_ip"}
    assert all(FILTERS[name].events and FILTERS[name].sessions for name in texts)
