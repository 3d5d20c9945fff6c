"""What loading did, in numbers and words; apart from the loader, so that who only counts need not bring DuckDB."""

import msgspec

from trailscan.records.damage import Damage

CHANGED = Damage("changed", "an object of this name was held already, with other content; both are kept")
REPAIRED = "repaired"  # what damage is called that was made good: it counts in the run that found it
STRAY = Damage("stray", "it was found in objects/ with no line of the manifest: who put it there, and when, is not on record")
NAMED = 5  # damaged things that are named one by one


class Loaded(msgspec.Struct):
    """What loading did, in counts that add up: read = loaded + copies + filtered + damaged + foreign."""

    objects: int = 0
    damaged_objects: int = 0
    spared_objects: int = 0  # the byte prefilter found nothing wanted in them
    bytes: int = 0
    raw_bytes: int = 0
    read: int = 0
    loaded: int = 0  # rows, less the copies among them
    copies: int = 0  # rows whose event was held already: kept, shown once
    filtered: int = 0
    damaged: int = 0
    foreign_objects: int = 0  # that hold something sound that is not CloudTrail
    foreign_only: int = 0  # those of them that hold nothing else
    foreign: int = 0  # elements of the others
    summaries: int = 0  # events that came without request and response
    named_foreign: list[tuple[str, str]] = []
    named: list[tuple[str, str]] = []  # some of the damage: the object's key, the reason

    @property
    def flawed_objects(self) -> int:
        """Objects for which a command ends with exit code 3."""
        return self.damaged_objects + self.foreign_objects

    def add(self, other: "Loaded") -> None:
        """Sum two counts; of the named damage the first few are kept."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        del self.named[NAMED:], self.named_foreign[NAMED:]
