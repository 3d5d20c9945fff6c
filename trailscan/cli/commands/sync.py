"""`trailscan sync`: its arguments and help."""

from typing import Annotated

import typer

from trailscan.cli.commands import options

EXAMPLES = """\b
Examples:
  trailscan sync s3://my-trail-bucket
  trailscan sync s3://org-trails/prefix --since 2026-03-01 --until 2026-03-08 --profile audit
  trailscan sync s3://my-trail-bucket --only StartSession --only ResumeSession
  trailscan sync s3://my-trail-bucket --dry-run
  trailscan sync event-history: --region eu-west-1 --only StartSession --only ResumeSession"""


def sync(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="s3://bucket[/prefix], the URL of one object, or event-history:.")
    ],
    since: options.Since = None,
    until: options.Until = None,
    account: Annotated[
        list[str] | None, typer.Option("--account", metavar="ID", help="Only this account.  [repeatable]")
    ] = None,
    region: Annotated[
        list[str] | None, typer.Option("--region", metavar="NAME", help="Only this region.  [repeatable]")
    ] = None,
    keys: Annotated[
        str | None, typer.Option("--keys", metavar="FILE", help="Fetch just the keys listed in a file, one a line; - is stdin.")
    ] = None,
    only: options.Only = None,
    no_load: Annotated[bool, typer.Option("--no-load", help="Fetch, and leave loading to the next sync.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List, count, and fetch nothing.")] = False,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="In a versioned bucket: also older versions, and what was deleted.")
    ] = False,
    profile: Annotated[str | None, typer.Option("--profile", metavar="NAME", help="AWS profile.")] = None,
    role_arn: Annotated[str | None, typer.Option("--role-arn", metavar="ARN", help="Role to assume.")] = None,
    endpoint_url: Annotated[
        str | None, typer.Option("--endpoint-url", metavar="URL", help="Another endpoint than AWS's own.")
    ] = None,
    no_sign_request: Annotated[
        bool, typer.Option("--no-sign-request", help="Send no credentials: for a public bucket.")
    ] = False,
    request_payer: Annotated[
        bool, typer.Option("--request-payer", help="Pay for the requests to somebody else's bucket.")
    ] = False,
    jobs: options.Jobs = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Copy CloudTrail's objects from S3 into the archive, byte for byte, and load their records.

    Finds accounts and regions below any prefix, fetches only what is not held, and goes on where it was interrupted.
    For accounts without a trail, event-history: asks CloudTrail itself for the management events of the last 90 days, in
    the regions named; --only then asks for just those, which is far quicker.
    Credentials are found as the AWS command line finds them.
    """
    from trailscan.aws.session import Access
    from trailscan.cli.asking import moment
    from trailscan.cli.history import is_history, sync_history
    from trailscan.cli.syncing import SyncOptions, sync_bucket
    from trailscan.fetch.listing import ListingScope

    scope = ListingScope(moment(since), moment(until), tuple(account or ()), tuple(region or ()))
    access = Access(profile, role_arn, endpoint_url, not no_sign_request, request_payer)
    wish = SyncOptions(source, scope, access, keys, tuple(only or ()), not no_load, dry_run, jobs, deleted)
    work = sync_history if is_history(source) else sync_bucket
    raise typer.Exit(work(wish, options.archive_root(archive), quiet))
