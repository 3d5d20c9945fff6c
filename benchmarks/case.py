"""A case as evidence: verified against the AWS command line, packed and unpacked against tar and sha256sum."""

import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.ground import HOME, KEYS, TRAILSCAN, Figure, clear, compared, folder_of, tools
from benchmarks.measure import pair, run
from tests.support.cloudtrail import CloudTrail
from tests.support.signer import Chain, build_chain, signer, write_archive, write_bucket
from tests.support.standin import Standin

HOURS, LOGS_AN_HOUR = 160, 50
TRAIL = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/main"


def verifying(runs: int) -> Iterator[Figure]:
    """Verify a signed chain, against loading the same objects, and against validate-logs with a local server."""
    archive, copy, bucket = f"{HOME}/chain/archive", f"{HOME}/chain/copy", f"{HOME}/chain/bucket"
    clear(f"{HOME}/chain")
    chain = build_chain(HOURS, LOGS_AN_HOUR, records_per_log=8)
    write_bucket(chain.objects, Path(bucket))
    write_archive(chain.objects, [signer().public_key()], Path(archive))
    ours = [*TRAILSCAN, "verify", "--archive", archive]
    loading = [*TRAILSCAN, "load", bucket, "--archive", copy]
    about = f"verify {len(chain.logs):,} logs and {len(chain.digests)} digests"
    yield compared(about, "trailscan load of the same", pair(ours, loading, runs, lambda: clear(copy)), "1x")
    with Standin(bucket, region="eu-west-1") as s3, CloudTrail([signer().der]) as cloudtrail:
        environment = KEYS | {
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL_S3": s3.url,
            "AWS_ENDPOINT_URL_CLOUDTRAIL": cloudtrail.url,
        }
        yield compared(
            about, "aws cloudtrail validate-logs", pair(ours, _validate_logs(chain), 1, environment=environment), "10x"
        )
    done = run(ours, watched=True)
    yield Figure(f"peak memory: {about}", "", f"{done.megabytes:.0f} MB", "", f"{done.seconds:.1f} s", "flat")
    clear(f"{HOME}/chain")


def carrying(runs: int) -> Iterator[Figure]:
    """Pack and unpack 8,000 small objects, against tar and sha256sum of each file."""
    archive, bundle, unpacked = f"{HOME}/carried/archive", f"{HOME}/carried/case.tar", f"{HOME}/carried/there"
    tarred, extracted = os.path.abspath(f"{HOME}/carried/plain.tar"), os.path.abspath(f"{HOME}/carried/plain")
    clear(f"{HOME}/carried")
    with Standin(f"{HOME}/small") as server:
        folder_of("small")
        run([*TRAILSCAN, "sync", "s3://bucket", "--endpoint-url", server.url, "--archive", archive], KEYS)
    pack = [*TRAILSCAN, "pack", bundle, "--archive", archive]
    sums = "find . -type f ! -name SHA256SUMS -print0 | xargs -0 sha256sum > SHA256SUMS"
    tar = ["sh", "-c", f"cd {archive} && {sums} && tar cf {tarred} . && sha256sum {tarred} && rm SHA256SUMS"]
    yield compared(
        "pack 8,000 small objects",
        "sha256sum of each, tar, sha256sum",
        pair(pack, tar, runs, lambda: clear(bundle, tarred)),
        "0.5x",
    )
    for command in (pack, tar):
        run(command)
    unpack = [*TRAILSCAN, "unpack", bundle, "--archive", unpacked]
    untar = [
        "sh",
        "-c",
        f"mkdir {extracted} && sha256sum {tarred} && cd {extracted} && tar xf {tarred} && sha256sum --quiet -c SHA256SUMS",
    ]
    yield compared(
        "unpack them", "sha256sum, tar, sha256sum -c", pair(unpack, untar, runs, lambda: clear(unpacked, extracted)), "0.5x"
    )
    clear(f"{HOME}/carried")


def _validate_logs(chain: Chain) -> list[str]:
    bucket, _ = chain.digests[0]
    return [
        f"{tools()}/aws",
        "cloudtrail",
        "validate-logs",
        "--trail-arn",
        TRAIL,
        "--start-time",
        "2026-03-01T00:00:00Z",
        "--end-time",
        "2026-03-20T00:00:00Z",
        "--s3-bucket",
        bucket,
    ]
