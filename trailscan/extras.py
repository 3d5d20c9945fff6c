"""Libraries that not every installation has: they weigh much and few commands need them, so that each is an extra."""

from importlib.util import find_spec

from trailscan.errors import MissingExtra

# By extra, as pyproject.toml names it: a module that it brings, and what it is for.
EXTRAS = {
    "notify": ("apprise", "to send notices to mail, Slack, webhooks and other services"),
    "parquet": ("pyarrow", "to write Parquet, and to hand rows to pyarrow or pandas"),
    "rules": ("sigma", "to run Sigma rules, those that come with trailscan among them"),
}


def require(extra: str) -> None:
    """Raise MissingExtra, which says what to install, when the libraries of an extra are not installed."""
    module, purpose = EXTRAS[extra]
    if find_spec(module) is None:
        raise MissingExtra(
            f"this installation has no {module}, which it takes {purpose}",
            f"install the extra: pip install 'trailscan[{extra}]', or trailscan[all] for all of them",
        )
