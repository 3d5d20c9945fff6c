"""`trailscan verify`: its arguments and help."""

from typing import Annotated

import typer

from trailscan.cli.commands import options
from trailscan.render.formats import PEOPLE

EXAMPLES = """\b
Examples:
  trailscan verify
  trailscan verify --since 2026-03-01 --until 2026-03-08 --verbose
  trailscan verify --public-keys eu-west-1.json
  trailscan verify --archive case-17 --format csv -o verdicts.csv"""


def verify(
    since: options.Since = None,
    until: options.Until = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Name what is valid, too.")] = False,
    public_keys: Annotated[
        list[str] | None,
        typer.Option(
            "--public-keys", metavar="PATH", help="Verify with the keys of this file, folder or archive, too.  [repeatable]"
        ),
    ] = None,
    region: Annotated[str | None, typer.Option("--region", metavar="NAME", help="The region of these keys.")] = None,
    output_format: options.Tabular = PEOPLE,
    output: options.Output = None,
    jobs: options.Jobs = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Verify an archive offline: the hash of every object, CloudTrail's digests and their signatures, the custody log.

    Every object is compared with the SHA-256 it was taken in with. Every digest is checked by place, signature and the
    digests around it, with the public keys that sync saved, and every log against the digest that lists it. --since and
    --until choose digests by the time of delivery they span. Exit code 4 when anything is invalid or missing, 3 when a digest
    could not be verified for want of its key or signature.
    """
    from trailscan.cli.asking import moment
    from trailscan.cli.verifying import VerifyOptions, verify_archive

    asked = VerifyOptions(moment(since), moment(until), verbose, output_format, output, tuple(public_keys or ()), region)
    raise typer.Exit(verify_archive(options.archive_root(archive), asked, jobs, quiet))
