"""JSON as a rule file holds it: every key in its order, also one that stands twice, numbers with all their digits.

A pattern that is wrong is a value here too: where it is wrong, as a JSON path, and why.
"""

import json
import re

import msgspec

_PLAIN_NAME = re.compile(r"[$A-Za-z_][\w-]{0,63}")
_LONGEST_NAME = 64  # characters of a key that a place shows


class Members(msgspec.Struct, frozen=True):
    """A JSON object as its pairs, in order."""

    pairs: tuple[tuple[str, object], ...]

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self.pairs)

    def get(self, *names: str) -> object:
        """The value under the first of these names that is there, the last one where it stands twice; else None."""
        held = dict(self.pairs)
        return next((held[name] for name in names if name in held), None)


class Digits(msgspec.Struct, frozen=True):
    """A JSON number as it is written."""

    text: str


class Malformed(ValueError):
    """What cannot be used: `place` is its JSON path, the message says why."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def parse_json(text: str | bytes, place: str = "$") -> object:
    """The document as Members, lists, Digits, texts, booleans and None. Raises Malformed."""
    try:
        return json.loads(
            text,
            object_pairs_hook=lambda pairs: Members(tuple(pairs)),
            parse_int=Digits,
            parse_float=Digits,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError as error:
        raise Malformed(place, f"not JSON: it is not text ({error.reason} at byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise Malformed(place, f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise Malformed(place, "it is nested too deeply") from error
    except ValueError as error:
        raise Malformed(place, f"not JSON: {error}") from error


def written(value: object) -> str:
    """The value as JSON without spaces, every number as it was written."""
    if isinstance(value, Members):
        return "{" + ",".join(f"{json.dumps(name)}:{written(inner)}" for name, inner in value.pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return value.text if isinstance(value, Digits) else json.dumps(value)


def inside(place: str, name: str) -> str:
    """The JSON path of a member of the object at `place`."""
    if _PLAIN_NAME.fullmatch(name):
        return f"{place}.{name}"
    shown = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "…"
    return f"{place}[{json.dumps(shown, ensure_ascii=False)}]"


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")
