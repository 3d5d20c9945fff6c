"""The command line: what commands there are, and the one place where an error becomes words and an exit code."""

import platform
import sys
import traceback
from collections.abc import Callable
from importlib import metadata

import typer

from trailscan.cli import streams
from trailscan.cli.commands import (
    coverage,
    custody,
    detect,
    docs,
    keys,
    load,
    pack,
    query,
    rebuild,
    relocate,
    sessions,
    show,
    status,
    sync,
    unpack,
    verify,
    watch,
)
from trailscan.cli.terminal import Terminal, without_secrets
from trailscan.errors import ExitCode, OutOfMemory, OutputError, ReaderGone, TrailscanError, of_system
from trailscan.store.faults import of_duckdb
from trailscan.version import __version__

_FAULT = "this is a fault of trailscan: --debug shows where"

EXIT_CODES = """\b
Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done, but some input was damaged or missing and is named;
4 verification failed, or a finding as `detect --fail-on` asks. stdout is data and nothing else; all else goes to stderr."""

app = typer.Typer(
    name="trailscan",
    help="Find out from CloudTrail, offline, who opened a Session Manager shell, where, when and from where.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.command("sync", short_help="Copy CloudTrail from S3 into the archive, and load it.", epilog=sync.EXAMPLES)(sync.sync)
app.command("load", short_help="Load local files, folders, .tar and .zip.", epilog=load.EXAMPLES)(load.load)
app.command("relocate", short_help="Say where loaded files lie now.", epilog=relocate.EXAMPLES)(relocate.relocate)
app.command("query", short_help="Find events, in the archive or straight in files.", epilog=query.EXAMPLES)(query.query)
app.command("sessions", short_help="Show who opened a shell on which machine.", epilog=sessions.EXAMPLES)(sessions.sessions)
app.command("show", short_help="Show one event or session whole, with its provenance.", epilog=show.EXAMPLES)(show.show)
app.command("status", short_help="Show what is held, and what is damaged.", epilog=status.EXAMPLES)(status.status)
app.command("coverage", short_help="Show what is held and what is missing, day by day.", epilog=coverage.EXAMPLES)(
    coverage.coverage
)
app.command("detect", short_help="Run Sigma rules and event patterns over the archive.", epilog=detect.EXAMPLES)(detect.detect)
app.command("watch", short_help="Sync, detect and tell, over and over.", epilog=watch.EXAMPLES)(watch.watch)
app.command("pack", short_help="Make one file of the archive, to carry.", epilog=pack.EXAMPLES)(pack.pack)
app.command("unpack", short_help="Make an archive of a bundle.", epilog=unpack.EXAMPLES)(unpack.unpack)
app.command("custody", short_help="Show what was done to the archive.", epilog=custody.EXAMPLES)(custody.custody)
app.command("verify", short_help="Verify hashes, digests and signatures, offline.", epilog=verify.EXAMPLES)(verify.verify)
app.add_typer(keys.app, name="keys", short_help="Show and import CloudTrail's public keys.")
app.command("rebuild", short_help="Make the database anew from the objects.", epilog=rebuild.EXAMPLES)(rebuild.rebuild)
app.command("docs", short_help="Print a page of the documentation.", epilog=docs.EXAMPLES)(docs.docs)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trailscan {__version__} (Python {platform.python_version()}, DuckDB {metadata.version('duckdb')})")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the versions of trailscan, Python and DuckDB."
    ),
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run, and exit with one of the codes of ExitCode."""
    debug = "--debug" in sys.argv
    streams.prepare()
    code = _guarded(_run, debug)
    sys.exit(_guarded(lambda: _finished(code), debug))


def _run() -> int:
    try:
        app(prog_name="trailscan")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else ExitCode.DONE if ended.code is None else ExitCode.FAILED
    return ExitCode.DONE


def _finished(code: int) -> int:
    streams.finish()
    return code


def _guarded(work: Callable[[], int], debug: bool) -> int:
    """The code of some work, or of the error that ended it, which is explained."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - the last stop: whatever it is, a person reads it
        known = _known(error)
        if isinstance(known, OutputError):
            streams.give_up()
        if not isinstance(known, ReaderGone):
            _explain(known or TrailscanError(f"{type(error).__name__}: {error}", _FAULT), debug)
        return known.exit_code if known else ExitCode.FAILED


def _known(error: Exception) -> TrailscanError | None:
    """The error as one that says what to do about it; None for a fault of ours."""
    if isinstance(error, TrailscanError):
        return error
    if isinstance(error, OSError):
        return of_system(error)
    if isinstance(error, MemoryError):
        return OutOfMemory("there is not enough memory", "ask for less: --since, --until, --columns, --limit, --jobs 1")
    return of_duckdb(error)


def _explain(error: TrailscanError, debug: bool) -> None:
    if debug:
        sys.stderr.write(without_secrets(traceback.format_exc()))
    Terminal(quiet=False).fail(error)
