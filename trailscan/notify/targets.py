"""From `--notify URL` to somebody to be told. A wrong URL is found here, before anything is synced, and is never quoted."""

import re
from collections.abc import Sequence

from trailscan.aws.session import Access
from trailscan.errors import UsageError
from trailscan.extras import require
from trailscan.notify.command import Command, Stdout
from trailscan.notify.notifier import Notifier

_KIND = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE | re.ASCII)
_HINT = "sns:ARN, stdout:, exec:COMMAND, or an Apprise URL such as mailto://, slack://, json://"


def parse(urls: Sequence[str], access: Access | None = None) -> list[Notifier]:
    """Each URL's notifier, each once; `access` is for AWS's. Raises UsageError, which names the kind and never the secret."""
    notifiers = (_notifier(url.strip(), access or Access()) for url in urls)
    return list({notifier.name: notifier for notifier in notifiers}.values())


def _notifier(url: str, access: Access) -> Notifier:
    if not (found := _KIND.match(url)):
        raise UsageError("--notify: it is not a URL", f"write {_HINT}")
    kind, rest = found[1].lower(), url[found.end() :]
    if kind == "stdout":
        return _stdout(rest)
    if kind == "exec":
        return Command(url, rest)
    if kind == "sns" and not rest.startswith("//"):
        from trailscan.notify.sns import Topic  # brings boto3

        return Topic(rest, access)
    require("notify")
    from trailscan.notify.service import Service  # brings Apprise

    return Service(kind, url)


def _stdout(rest: str) -> Notifier:
    if rest:
        raise UsageError("--notify stdout: takes nothing after it", f"write {_HINT}")
    return Stdout()
