"""The YAML of a rule file -> its documents, within bounds: a small file can unfold into more than any memory holds.

It is measured by its events, which unfold nothing, before anything is made of it.
"""

import hashlib
import json
from collections.abc import Iterator

import msgspec
import yaml
from sigma.rule.base import SigmaYAMLLoader

LARGEST = 1 << 20  # bytes of a file; the largest rules that are published have some tens of thousands
DEEPEST = 40  # levels of lists and mappings
LONGEST_NUMBER = 100  # characters
MOST = 20_000  # values, each alias counted as all that it stands for


class _Loader(SigmaYAMLLoader):
    """A safe loader that refuses a key twice, and reads no number in base 60: those take quadratic time, and are times."""


def _plain_number(loader: _Loader, node: yaml.ScalarNode) -> object:
    """An integer or a fraction; the text itself where it is written in base 60 or has more digits than any number needs."""
    text = loader.construct_scalar(node)
    if ":" in text or len(text) > LONGEST_NUMBER:
        return text
    return loader.construct_yaml_int(node) if node.tag.endswith(":int") else loader.construct_yaml_float(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _plain_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _plain_number)


class Document(msgspec.Struct, frozen=True):
    """One document of a file: its number from 1, what it says, and a fingerprint of that."""

    number: int
    content: object
    fingerprint: str


class Unreadable(ValueError):
    """A file that cannot be read as YAML, or is too much; `place` is where, as far as that is known."""

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place


def documents(text: bytes) -> list[Document]:
    """The documents of a file that are not empty. Raises Unreadable."""
    if len(text) > LARGEST:
        raise Unreadable(f"the file has {len(text):,} bytes; rules may have {LARGEST:,}")
    try:
        decoded = text.decode("utf-8-sig")
        _measure(yaml.parse(decoded, Loader=yaml.CSafeLoader))
        contents = list(yaml.load_all(decoded, Loader=_Loader))
    except UnicodeDecodeError as error:
        raise Unreadable("not UTF-8", f"byte {error.start:,}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise Unreadable(f"not YAML: {error.problem}", f"line {mark.line + 1}" if mark else "") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"not YAML: {str(error).partition(chr(10))[0]}") from error
    return [
        Document(number, content, _fingerprint(content)) for number, content in enumerate(contents, 1) if content is not None
    ]


def _fingerprint(content: object) -> str:
    return hashlib.sha256(json.dumps(content, default=str, skipkeys=True).encode()).hexdigest()


def _measure(events: Iterator[yaml.Event]) -> None:
    """Count what the events would unfold to. Raises Unreadable when that is too much or never ends."""
    sizes = [0]  # of what is open, the innermost last
    names: list[str | None] = []
    anchors: dict[str, int] = {}
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            sizes.append(1)
            names.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            size, name = sizes.pop(), names.pop()
            sizes[-1] += size
            anchors |= {name: size} if name else {}
        elif isinstance(event, yaml.NodeEvent):
            sizes[-1] += _size_of_one(event, anchors)
        if len(sizes) > DEEPEST:
            raise Unreadable(f"nested deeper than {DEEPEST} levels", _line(event))
        if sizes[-1] > MOST:
            raise Unreadable(f"more than {MOST:,} values, aliases unfolded", _line(event))


def _size_of_one(event: yaml.NodeEvent, anchors: dict[str, int]) -> int:
    """A value, or what an alias stands for."""
    if not isinstance(event, yaml.AliasEvent):
        anchors |= {event.anchor: 1} if event.anchor else {}
        return 1
    if event.anchor not in anchors:
        raise Unreadable("an alias stands for nothing, or for what it is part of", _line(event))
    return anchors[event.anchor]


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}" if event.start_mark else ""
