"""Templates of JSON values, filled with invented ones.

`$name` stands for an invented value; the same name has the same value everywhere in one record (`$name2` is a second
one). A string that is nothing but a `$name` takes the value's type.
"""

import re
from collections.abc import Callable
from random import Random
from typing import Any

from tests.support.principals import PEOPLE, identifier

Make = Callable[["Values"], object]


class Values(dict[str, Any]):
    """The values of one record's `$names`, each invented when first asked for."""

    def __init__(self, rng: Random, account: str, region: str, instances: tuple[str, ...]) -> None:
        super().__init__(account=account, region=region)
        self.rng, self.instances = rng, instances

    def __missing__(self, name: str) -> Any:
        value = self[name] = MAKERS[name.rstrip("0123456789")](self)
        return value


def compile_template(template: Any) -> Make:
    """A template -> a function that fills it; parts without `$names` are built once and shared."""
    if isinstance(template, dict):
        parts = {key: compile_template(value) for key, value in template.items()}
        return lambda values: {key: fill(values) for key, fill in parts.items()}
    if isinstance(template, list):
        items = [compile_template(value) for value in template]
        return lambda values: [fill(values) for fill in items]
    if isinstance(template, str) and (pieces := NAME.split(template))[1:]:
        if len(pieces) == 3 and not pieces[0] and not pieces[2]:
            name = pieces[1]
            return lambda values: values[name]
        return lambda values: "".join([str(values[p]) if odd % 2 else p for odd, p in enumerate(pieces)])
    return lambda _: template


NAME = re.compile(r"\$([a-z]+\d*)")


def guid(rng: Random) -> str:
    """A random UUID's text."""
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _hexadecimal(length: int) -> Callable[[Values], str]:
    return lambda values: f"{values.rng.getrandbits(length * 4):0{length}x}"


def _one_of(*choices: Any) -> Callable[[Values], Any]:
    return lambda values: choices[int(values.rng.random() * len(choices))]


MAKERS: dict[str, Callable[[Values], Any]] = {
    "guid": lambda values: guid(values.rng),
    "instance": lambda values: values.instances[int(values.rng.random() * len(values.instances))],
    "bucket": lambda values: f"example-{values['word']}-{int(values.rng.random() * 20):02d}",
    "word": _one_of("orders", "logs", "media", "backup", "reports", "staging", "invoices", "assets"),
    "person": _one_of(*PEOPLE),
    "role": _one_of("web-deploy", "orders-deploy", "etl-instance", "bastion-instance", "Auditor", "Ops"),
    "note": lambda values: "Kundenübersicht Zürich" if values.rng.random() < 0.02 else "weekly report",
    "hex": _hexadecimal(8),
    "longhex": _hexadecimal(17),
    "number": lambda values: int(values.rng.random() * 100_000),
    "size": lambda values: int(values.rng.random() * 10_000_000),
    "access": lambda values: "ASIA" + identifier(values.rng, 16),
    "unique": lambda values: identifier(values.rng, 17),
    "token": lambda values: f"{values.rng.getrandbits(300):x}",
    "millis": lambda values: 1_772_323_200_000 + int(values.rng.random() * 86_400_000),
    "mfa": _one_of("Yes", "No"),
    "eventname": _one_of(
        *("ConsoleLogin", "AssumeRole", "CreateUser", "StartSession", "StopLogging", "PutBucketPolicy", "RunInstances"),
        *("CreateAccessKey", "DeleteTrail", "AttachUserPolicy", "PutRolePolicy", "ModifyInstanceAttribute"),
    ),
}
