"""Libraries that not every installation has: they weigh much and few commands need them, so that each is an extra."""

from importlib.util import find_spec

from trailscan.errors import MissingExtra

# By extra, as pyproject.toml names it: a module that it brings, the library's name, and what takes it.
EXTRAS = {
    "notify": ("apprise", "Apprise", "notices to mail, Slack, webhooks and other services take"),
    "parquet": ("pyarrow", "pyarrow", "Parquet, and rows for pyarrow or pandas, take"),
    "rules": ("sigma", "pySigma", "Sigma rules, the built-in ones among them, take"),
}


def require(extra: str) -> None:
    """Raise MissingExtra, which says what to install, when the libraries of an extra are not installed."""
    module, library, purpose = EXTRAS[extra]
    if find_spec(module) is None:
        raise MissingExtra(
            f"{library} is not installed, which {purpose}",
            f"install the extra: pip install 'trailscan[{extra}]', or trailscan[all] for all of them",
        )
