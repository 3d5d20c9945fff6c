"""Messages of a queue into rounds over the keys they name; a message is deleted once its objects are loaded and committed."""

from collections.abc import Sequence
from threading import Event

from trailscan.aws.sqs import Inbox, Message, NotOurs, Queue, keys_in
from trailscan.cli.rounds import Rounds
from trailscan.cli.telling import Say
from trailscan.fetch.download import MissingObject
from trailscan.render.sentences import watching as words

MOST_STRANGERS = 10_000  # messages that are remembered as named
PAUSE = 1.0  # seconds after messages none of which was ours: a queue may show them again at once
_PASSING = {"not-fetched", "wrong-length"}  # reasons for which an object is worth another try


class QueueListener:
    """A queue, and the rounds that it wakes. `named` remembers the messages that were left there, across several of these."""

    def __init__(self, queue: Queue, rounds: Rounds, named: set[str], say: Say) -> None:
        self._queue = queue
        self._inbox = Inbox(queue)
        self._rounds = rounds
        self._named = named
        self._say = say

    def poll(self, seconds: float, stop: Event) -> bool:
        """Wait at most so long for messages, and do what they ask for; False when none came."""
        messages = self._inbox.collect(seconds, stop.is_set)
        ours = [(message, keys) for message in messages if (keys := self._keys_in(message)) is not None]
        wanted = list(dict.fromkeys(key for _, keys in ours for key in keys if self._rounds.scope.takes_object(key)))
        missing = self._rounds.look_at(wanted).missing if wanted else ()
        if not stop.is_set():
            self._queue.delete(_handled(ours, missing))
        if messages and not ours:
            stop.wait(PAUSE)
        return bool(messages)

    def _keys_in(self, message: Message) -> list[str] | None:
        """The keys below the watched prefix; None where the message is not for us, which is named once."""
        try:
            return keys_in(message.body, self._rounds.bucket.name, self._rounds.prefix)
        except NotOurs as error:
            if message.id not in self._named and len(self._named) < MOST_STRANGERS:
                self._named.add(message.id)
                self._say([words.of_stranger(str(error))])
            return None


def _handled(ours: Sequence[tuple[Message, list[str]]], missing: Sequence[MissingObject]) -> list[Message]:
    """The messages none of whose objects is worth another try; the others come again by themselves."""
    again = {found.origin.key for found in missing if found.what in _PASSING}
    return [message for message, keys in ours if again.isdisjoint(keys)]
