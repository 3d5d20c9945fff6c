"""`trailscan watch`: its arguments and help."""

from typing import Annotated

import typer

from trailscan.cli.commands import options

EXAMPLES = """\b
Examples:
  trailscan watch s3://my-trail-bucket --notify sns:arn:aws:sns:eu-west-1:111122223333:shells
  trailscan watch s3://my-trail-bucket --rules rules/ --notify 'mailto://user:password@example.com?to=soc@example.com'
  trailscan watch s3://my-trail-bucket --queue https://sqs.eu-west-1.amazonaws.com/111122223333/trail --notify exec:./page.sh
  trailscan watch s3://my-trail-bucket --once --notify 'slack://TokenA/TokenB/TokenC'      (from cron)"""

Texts = list[str] | None


def _option(flag: str, metavar: str, what: str) -> object:
    return typer.Option(flag, metavar=metavar, help=what)


def watch(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="s3://bucket[/prefix].")],
    rules: Annotated[
        Texts, _option("--rules", "PATH", "Rules to run, as `detect` takes them.  [repeatable; default: builtin]")
    ] = None,
    notify: Annotated[
        Texts,
        _option(
            "--notify", "URL", "Whom to tell: sns:ARN, stdout:, exec:COMMAND, any Apprise URL.  [repeatable; default: stdout:]"
        ),
    ] = None,
    every: Annotated[
        str | None, _option("--every", "SPAN", "Between two looks at the bucket.  [default: 60s; with --queue 1h]")
    ] = None,
    queue: Annotated[str | None, _option("--queue", "URL", "SQS queue that is told of new objects: wakes at once.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once, tell, and end: for cron.")] = False,
    backfill: Annotated[bool, typer.Option("--backfill", help="Tell of everything, however old; once each.")] = False,
    since: options.Since = None,
    account: Annotated[Texts, _option("--account", "ID", "Only this account.  [repeatable]")] = None,
    region: Annotated[Texts, _option("--region", "NAME", "Only this region.  [repeatable]")] = None,
    only: options.Only = None,
    profile: Annotated[str | None, _option("--profile", "NAME", "AWS profile.")] = None,
    role_arn: Annotated[str | None, _option("--role-arn", "ARN", "Role to assume.")] = None,
    endpoint_url: Annotated[
        str | None, _option("--endpoint-url", "URL", "Another endpoint than AWS's own, of bucket, queue and topic.")
    ] = None,
    no_sign_request: Annotated[bool, typer.Option("--no-sign-request", help="Send the bucket no credentials.")] = False,
    request_payer: Annotated[
        bool, typer.Option("--request-payer", help="Pay for the requests to somebody else's bucket.")
    ] = False,
    jobs: options.Jobs = None,
    archive: options.Archive = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,  # noqa: ARG001 - read by main
) -> None:
    """Sync, load, detect and tell, over and over; each finding is told once to each, also across restarts.

    Whom --notify names for the first time hears of events of the last 24 hours; older findings are kept (`trailscan detect`
    shows them), and --backfill tells of them too. Who cannot be reached is told later. Ctrl-C and SIGTERM end it well.
    """
    from trailscan.aws.session import Access
    from trailscan.cli.asking import moment
    from trailscan.cli.syncing import SyncOptions
    from trailscan.cli.watching import WatchOptions, watch_bucket
    from trailscan.fetch.listing import ListingScope
    from trailscan.times import parse_span

    scope = ListingScope(moment(since), None, tuple(account or ()), tuple(region or ()))
    access = Access(profile, role_arn, endpoint_url, not no_sign_request, request_payer)
    wish = SyncOptions(source, scope, access, None, tuple(only or ()), True, False, jobs)
    pause = parse_span(every or ("1h" if queue else "60s")).total_seconds()
    plan = WatchOptions(wish, tuple(rules or ()), tuple(notify or ("stdout:",)), pause, queue, once, backfill)
    raise typer.Exit(watch_bucket(plan, options.archive_root(archive), quiet))
