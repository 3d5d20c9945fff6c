"""Notices to whatever Apprise can reach: mail, Slack, Teams, webhooks and the rest, always as plain text.

What a log holds must not become markup, a mention or a control character there. Apprise escapes plain text for a medium
that has markup; mentions, which some media find in plain text too, are broken up here.
"""

import logging
import re
import warnings
from typing import TYPE_CHECKING
from urllib.parse import unquote

from trailscan.detect.finding_table import Notice
from trailscan.errors import UsageError
from trailscan.notify.message import subject, text
from trailscan.notify.notifier import NotSent, named
from trailscan.render.escape import for_terminal

if TYPE_CHECKING:
    import apprise

PATIENCE = 30.0  # seconds that a service may take
SPARE = 4.0  # seconds of these to connect
_ONE_TIMEOUT = {"mailto", "mailtos", "xmpp", "xmpps"}  # where Apprise's time to connect is that of every answer
_SHORTEST_SECRET = 3  # characters: no password is shorter, and striking out single letters leaves nothing to read
_REASON = 300  # characters
_MENTION = re.compile(r"<(?=[!@#])|@(?=(?:everyone|here|channel|all)\b)", re.IGNORECASE)
_PIECES = re.compile(r"[/:@?&=,+;#\s]+")


class Service:
    """An Apprise URL. Raises UsageError for one that Apprise does not understand, without quoting it."""

    def __init__(self, kind: str, url: str) -> None:
        import apprise

        _silence()
        asset = apprise.AppriseAsset(app_id="trailscan", app_desc="trailscan", async_mode=False, service_timeout=PATIENCE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what some of Apprise's hundred plugins bring
            service = apprise.Apprise.instantiate(url, asset=asset)
        if not isinstance(service, apprise.NotifyBase):
            raise UsageError(
                f"--notify {kind}: the rest of the URL is not as Apprise wants it",
                "Apprise's documentation shows how a URL of this kind is written",
            )
        if kind in {"mailto", "mailtos"}:
            service.request_rate_per_sec = 0  # seconds between two, in truth; a mail server says itself what is too much
        _be_patient(service, kind)
        self.name = named(kind, url)
        self.shown = f"{kind}://***"
        self._secrets = _secrets(url, kind)
        self._longest = service.body_maxlen - (service.title_maxlen if service.overflow_amalgamate_title else 0)
        self._apprise = apprise.Apprise(asset=asset)
        self._apprise.add(service)

    def send(self, notice: Notice) -> None:
        """Send. Raises NotSent, with what Apprise says less all that the URL holds."""
        result = self._apprise.notify(
            without_mentions(text(notice, self._longest)), title=without_mentions(subject(notice)), body_format="text"
        )
        if not result:
            raise NotSent(self._reason(result))

    def _reason(self, result: "apprise.AppriseResult") -> str:
        said = [entry.message for entry in result.logs() if entry.level in {"WARNING", "ERROR", "CRITICAL"}]
        told = "; ".join(dict.fromkeys(said)) or f"it was not taken ({result.status.name.lower()})"
        for secret in self._secrets:
            told = told.replace(secret, "***")
        return for_terminal(told[:_REASON])


def without_mentions(told: str) -> str:
    """The text with a space in what chats read as a call to everybody: `@ everyone`, `< !channel>`."""
    return _MENTION.sub(lambda found: f"{found[0]} ", told)


def _be_patient(service: "apprise.NotifyBase", kind: str) -> None:
    """Wait for an answer as long as for the whole, less the time to connect, unless the URL says `rto=`: Apprise waits 4 s.

    Who answers late has taken the notice, and would get it twice.
    """
    if service.socket_read_timeout == type(service).socket_read_timeout:
        service.socket_read_timeout = PATIENCE - SPARE
    if kind in _ONE_TIMEOUT and service.socket_connect_timeout == type(service).socket_connect_timeout:
        service.socket_connect_timeout = PATIENCE - SPARE


def _secrets(url: str, kind: str) -> list[str]:
    """Every part of a URL after its kind, as written and as meant, the longest first."""
    rest = url[len(kind) :]
    pieces = {piece for whole in (rest, unquote(rest)) for piece in _PIECES.split(whole)}
    pieces |= {unquote(piece) for piece in pieces}
    return sorted((piece for piece in pieces if len(piece) >= _SHORTEST_SECRET), key=len, reverse=True)


def _silence() -> None:
    """Keep Apprise from writing to stderr, URLs among it."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
