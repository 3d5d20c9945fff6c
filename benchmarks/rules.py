"""Rules over a million loaded events, and how soon `watch` tells of an object."""

import json
import logging
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3

from benchmarks.ground import HOME, KEYS, PEER, TRAILSCAN, Figure, clear, folder_of
from benchmarks.measure import installed, pair, run
from benchmarks.sigma_rules import rules
from tests.support.standin import Standin
from tests.support.world import World, key, object_bytes, write_bucket

PATTERN = {
    "source": ["aws.ssm"],
    "detail": {"eventSource": ["ssm.amazonaws.com"], "eventName": ["StartSession", "ResumeSession"]},
}
HELD = 100_000  # objects, of one record each
MESSAGES = 5


def detecting(runs: int) -> Iterator[Figure]:
    """Sixty Sigma rules, then one event pattern, over a million events: whole processes."""
    archive, sigma, pattern = f"{HOME}/rules/archive", Path(HOME, "rules/sigma"), Path(HOME, "rules/pattern.json")
    clear(f"{HOME}/rules")
    sigma.mkdir(parents=True)
    for number, text in enumerate(rules(), 1):
        (sigma / f"{number:02}.yml").write_text(text)
    pattern.write_text(json.dumps(PATTERN))
    run([*TRAILSCAN, "load", folder_of("million"), "--archive", archive])
    for what, path, wanted in (("60 Sigma rules", sigma, "under 10 s"), ("one event pattern", pattern, "under 2 s")):
        detect = [*TRAILSCAN, "detect", "--rules", str(path), "--archive", archive, "--count"]
        seconds = statistics.median(run(detect).seconds for _ in range(runs))
        yield Figure(f"detect, {what}, 1,000,000 events", "", f"{seconds:.2f} s", "", "", wanted)
    clear(f"{HOME}/rules")


def watching(runs: int) -> Iterator[Figure]:
    """A round with nothing new, against only listing the bucket."""
    archive, bucket = f"{HOME}/held/archive", f"{HOME}/held/bucket"
    if not os.path.exists(f"{bucket}.done"):
        clear(bucket)
        write_bucket(bucket, HELD, 1)
        open(f"{bucket}.done", "w").close()
    clear(archive)
    with Standin(f"{HOME}/held") as server:
        watch = [*TRAILSCAN, "watch", "s3://bucket", "--once", "--endpoint-url", server.url, "--archive", archive]
        run([*watch, "--notify", "exec:true"], KEYS)
        listing = [*PEER, "list_objects", server.url]
        times = pair([*watch, "--notify", "exec:true"], listing, runs, environment=KEYS)
    clear(archive)
    what = f"watch --once, nothing new, {HELD:,} objects held"
    beside = f"{max(0.0, times.ours - times.peer):.2f} s besides"
    yield Figure(what, "boto3 lists the bucket", f"{times.ours:.2f} s", f"{times.peer:.2f} s", beside, "under 2 s besides")


def telling() -> Iterator[Figure]:
    """From a message in the queue about an object to the notice, with S3 and SQS on this machine."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line for each request
    clear(f"{HOME}/told")
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        seconds = _times_of_notices(f"http://{host}:{port}", f"{HOME}/told")
    finally:
        server.stop()
        clear(f"{HOME}/told")
    yield Figure(
        "from object in bucket to notice, with a queue", "", f"{statistics.median(seconds):.2f} s", "", "", "under 2 s"
    )


def _times_of_notices(url: str, archive: str) -> list[float]:
    session = boto3.Session("example", "example", region_name="us-east-1")
    s3, sqs = session.client("s3", endpoint_url=url), session.client("sqs", endpoint_url=url)
    s3.create_bucket(Bucket="bucket")
    queue = sqs.create_queue(QueueName="trail")["QueueUrl"]
    command = [*TRAILSCAN, "watch", "s3://bucket", "--endpoint-url", url, "--archive", archive, "--queue", queue]
    with subprocess.Popen(command, env=installed() | KEYS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        watch.stderr.readline()  # it has begun
        world, seconds = World(3), []
        for number in range(MESSAGES + 1):
            now = datetime.now(UTC).replace(microsecond=0)
            name = key("111122223333", "eu-west-1", now, f"Session{number:09}")
            started = time.perf_counter()
            s3.put_object(Bucket="bucket", Key=name, Body=object_bytes([world.start_session(now, "111122223333", "eu-west-1")]))
            sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(_created(name)))
            while json.loads(watch.stdout.readline())["object"]["key"] != name:
                pass
            seconds.append(time.perf_counter() - started)
        watch.terminate()
    return seconds[1:]


def _created(key: str) -> dict[str, object]:
    """S3's notification of a new object."""
    return {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "bucket"}, "object": {"key": key}}}]}
