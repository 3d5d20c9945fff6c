"""The options of the commands that ask about calls: filters, and the shape of the answer; they read the same everywhere."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ParamSpec, TypeVar, cast

import typer

from trailscan.query.filter_registry import FILTERS

Texts = list[str] | None
FilterTexts = Mapping[str, object]
"""What was given for each filter, by its name, as `with_filters` collects it."""


Columns = Annotated[str | None, typer.Option("--columns", metavar="A,B", help="The columns to show.")]
Sort = Annotated[str, typer.Option("--sort", metavar="COLUMN", help="Order; -COLUMN for descending.")]
Limit = Annotated[int | None, typer.Option("--limit", min=0, metavar="N", help="Show at most so many.")]
Count = Annotated[bool, typer.Option("--count", help="Print only how many there are.")]
By = Annotated[str | None, typer.Option("--by", metavar="COLUMN", help="Count by the values of a column.")]


P = ParamSpec("P")
R = TypeVar("R")
_TYPES: dict[str, object] = {"texts": Texts, "switch": bool | None, "time": str | None, "condition": str | None}


def with_filters(view: str, **other_help: str) -> Callable[[Callable[P, R]], Callable[..., R]]:
    """Give a command one option for each filter in place of its `filters`, which it is called with: texts by filter's name.

    `view` is what `--where` is about; `other_help` replaces the help of a filter.
    """

    def decorate(command: Callable[P, R]) -> Callable[..., R]:
        @functools.wraps(command)
        def run(*args: P.args, **given: P.kwargs) -> R:
            wanted: dict[str, object] = {name: given.pop(name) for name in FILTERS}
            given["filters"] = wanted
            return command(*args, **given)

        parameters = list(inspect.signature(command).parameters.values())
        at = next(number for number, parameter in enumerate(parameters) if parameter.name == "filters")
        parameters[at : at + 1] = [_parameter(name, view, other_help) for name in FILTERS]
        signature = inspect.Signature(parameters)
        vars(run)["__signature__"] = signature
        run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
        return run

    return decorate


def _parameter(name: str, view: str, other_help: Mapping[str, str]) -> inspect.Parameter:
    entry, annotated = FILTERS[name], cast("Any", Annotated)  # made while the program runs
    text = other_help.get(name, entry.help).replace("{view}", view)
    metavar = None if entry.kind == "switch" else entry.metavar
    option = annotated[_TYPES[entry.kind], typer.Option(entry.flag_of(name), metavar=metavar, help=text)]
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=option)
