"""Rule files and folders into rules that can run, and the names of those that cannot, with reasons.

Rule files are hostile: what is read is bounded, nothing outside a folder is followed, and no file stops the others.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from importlib import resources
from operator import attrgetter

import msgspec

from trailscan.detect.rule import LEVELS, Compiled, Uncompiled
from trailscan.errors import UsageError
from trailscan.extras import require
from trailscan.files.regular_file import open_regular
from trailscan.version import __version__

BUILTIN = "builtin"  # in place of a path: the rules that come with trailscan
LARGEST = 4 << 20  # bytes of a rule file: one may hold many rules
MOST_FILES = 20_000
MOST_BYTES = 256 << 20  # of all rule files together
_ENDINGS = (".json", ".yml", ".yaml")

Entry = os.DirEntry[str]
Compiling = Callable[[bytes, str], list[Compiled | Uncompiled]]


class RuleFile(msgspec.Struct, frozen=True):
    """A rule file as it was read; `path` as it was given, and for a file in a folder the folder's with what follows."""

    path: str
    text: bytes


class Shelf(msgspec.Struct, frozen=True):
    """What lies where rules were looked for: files, what could not be read, and how many hidden or other files there are."""

    files: tuple[RuleFile, ...]
    refused: tuple[Uncompiled, ...] = ()
    hidden: int = 0
    others: int = 0  # files in folders whose names do not end as those of rules do


class Rulebook:
    """The rules of a shelf, compiled when first asked for; each id once."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    @cached_property
    def fingerprint(self) -> str:
        """A hash that two rulebooks share when the same trailscan would find the same with them."""
        texts = sorted(f"{hashlib.sha256(file.text).hexdigest()} {file.path!r}" for file in self.shelf.files)
        return hashlib.sha256("\n".join([__version__, *texts]).encode()).hexdigest()

    @property
    def rules(self) -> tuple[Compiled, ...]:
        """The rules that can run, in the order of their files."""
        return self._compiled[0]

    @property
    def uncompiled(self) -> tuple[Uncompiled, ...]:
        """What cannot run, and why."""
        return self.shelf.refused + self._compiled[1]

    @cached_property
    def _compiled(self) -> tuple[tuple[Compiled, ...], tuple[Uncompiled, ...]]:
        rules: dict[str, Compiled] = {}
        refused: list[Uncompiled] = []
        for file in self.shelf.files:
            for found in _compiled(file):
                if isinstance(found, Uncompiled):
                    refused.append(found)
                elif found.rule.id in rules:
                    refused.append(_namesake(found, rules[found.rule.id]))
                else:
                    rules[found.rule.id] = found
        return tuple(rules.values()), tuple(refused)


def read_rules(paths: Sequence[str]) -> Rulebook:
    """The rules of files and folders; `builtin` are those that come with trailscan, and so is no path at all.

    Folders are read with all below them, in order of names. Raises UsageError for a path that does not exist, and
    MissingExtra for Sigma rules where pySigma is not installed.
    """
    gathering = _Gathering()
    for path in dict.fromkeys(paths or [BUILTIN]):
        gathering.take(path)
    shelf = gathering.shelf()
    if not all(_is_pattern(file.path) for file in shelf.files):
        require("rules")
    return Rulebook(shelf)


def chosen(rules: Sequence[Compiled], level: str | None, names: Sequence[str]) -> list[Compiled]:
    """Those of at least a level, and of ids or titles among `names`, in which case counts for nothing and `*` is any text.

    Raises UsageError for a name that none of the rules has.
    """
    lowest = LEVELS.index(level) if level in LEVELS else 0
    for name in names:
        if not any(_is_named(each, name) for each in rules):
            raise UsageError(f"no rule has the id or title {name!r}", "`trailscan detect --list` shows the rules")
    return [
        each
        for each in rules
        if LEVELS.index(each.rule.level) >= lowest and (not names or any(_is_named(each, name) for name in names))
    ]


def _is_named(each: Compiled, name: str) -> bool:
    pattern = re.compile(re.sub(r"(?:\\\*)+", ".*", re.escape(name)), re.IGNORECASE | re.DOTALL)
    return any(pattern.fullmatch(text) for text in (each.rule.id, each.rule.title))


def _compiled(file: RuleFile) -> list[Compiled | Uncompiled]:
    """The rules of a file; whatever breaks a compiler is a reason, since no file may stop the others."""
    compile_rules = _compiler_of(file.path)
    try:
        found = compile_rules(file.text, file.path)
    except Exception as error:  # noqa: BLE001 - the file is named, with what it broke
        return [Uncompiled(file.path, "", f"it breaks the compiler: {type(error).__name__}: {error}")]
    return found or [Uncompiled(file.path, "", "there is no rule in it")]


def _is_pattern(path: str) -> bool:
    return path.lower().endswith(".json")


def _compiler_of(path: str) -> Compiling:
    if _is_pattern(path):
        from trailscan.detect.eventbridge.rule import compile_pattern

        return compile_pattern
    from trailscan.detect.sigma.compiling import compile_sigma

    return compile_sigma


def _namesake(found: Compiled, first: Compiled) -> Uncompiled:
    rule = found.rule
    return Uncompiled(rule.path, rule.title, f"its id {rule.id!r} is that of {first.rule.title!r} in {first.rule.path}")


class _Gathering:
    """Takes rule files as they are named or found."""

    def __init__(self) -> None:
        self._files: list[RuleFile] = []
        self._seen: set[str] = set()
        self._refused: list[Uncompiled] = []
        self._bytes = 0
        self._hidden = 0
        self._others = 0

    def shelf(self) -> Shelf:
        """What was taken."""
        return Shelf(tuple(self._files), tuple(self._refused), self._hidden, self._others)

    def take(self, path: str) -> None:
        """Take a file or folder that was named."""
        place = str(resources.files("trailscan.detect").joinpath("rules")) if path == BUILTIN else path
        if os.path.isdir(place):
            self._take_folder(place, path)
        elif not os.path.exists(place):
            raise UsageError(f"there are no rules at {path}", "give a file or a folder, or leave out --rules")
        elif place.lower().endswith(_ENDINGS):
            self._read(place, path)
        else:
            raise UsageError(f"{path} is not a rule file", "rules are in files that end in .json, .yml or .yaml")

    def _take_folder(self, place: str, path: str) -> None:
        inside = os.path.join(os.path.realpath(place), "")
        for entry in self._entries(place, path):
            name = path + entry.path.removeprefix(place)
            if len(self._files) >= MOST_FILES or self._bytes > MOST_BYTES:
                limit = f"{MOST_FILES:,} files or {MOST_BYTES >> 20} MB"
                self._refused.append(Uncompiled(name, "", f"it and what follows: more than {limit} of rules"))
                return
            if reason := _not_taken(entry, inside):
                self._refused.append(Uncompiled(name, "", reason))
            else:
                self._read(entry.path, name)

    def _entries(self, place: str, path: str) -> Iterator[Entry]:
        """What a folder and those below it hold and may be a rule, or may hide one, in order of names."""
        pending = [self._listed(place, path)]
        while pending:
            for entry in pending[-1]:
                if entry.name.startswith("."):
                    self._hidden += 1
                elif entry.is_dir(follow_symlinks=False):
                    pending.append(self._listed(entry.path, path + entry.path.removeprefix(place)))
                    break
                elif entry.name.lower().endswith(_ENDINGS) or os.path.isdir(entry.path):
                    yield entry
                else:
                    self._others += 1
            else:
                pending.pop()

    def _listed(self, place: str, name: str) -> Iterator[Entry]:
        try:
            with os.scandir(place) as entries:
                return iter(sorted(entries, key=attrgetter("name")))
        except OSError as error:
            self._refused.append(Uncompiled(name, "", f"the folder cannot be read: {error.strerror}"))
            return iter(())

    def _read(self, place: str, path: str) -> None:
        if (real := os.path.realpath(place)) in self._seen:
            return
        self._seen.add(real)
        try:
            text = _text_of(place)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._refused.append(Uncompiled(path, "", f"cannot be read: {reason}"))
        else:
            self._bytes += len(text)
            self._files.append(RuleFile(path, text))


def _not_taken(entry: Entry, inside: str) -> str:
    """Why what lies in a folder is not read; empty when it is."""
    if not entry.is_symlink():
        return ""
    target = os.path.realpath(entry.path)
    if not target.startswith(inside):
        return "a link that leaves the folder is not followed"
    return "a link to a folder is not followed" if os.path.isdir(target) else ""


def _text_of(place: str) -> bytes:
    """The bytes of a file."""
    with open_regular(place) as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise ValueError(f"it has more than {LARGEST:,} bytes")
    return text
