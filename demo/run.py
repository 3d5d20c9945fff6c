"""`make demo`: a sample bucket in a local S3 server, and the commands that a responder would type, with what they answer.

It needs no AWS account and talks to 127.0.0.1 only; all it writes is under `.demo/`. `python demo/run.py --serve` keeps the
server running for commands typed by hand.
"""

import argparse
import base64
import json
import logging
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from demo.signing import FINGERPRINT, PUBLIC_KEY

TOP = Path(__file__).resolve().parent.parent
BUCKET = "example-trail"
FOLDER = TOP / "demo/bucket"
ARCHIVE = ".demo/archive"
SETTINGS = {
    "AWS_ACCESS_KEY_ID": "demo",
    "AWS_SECRET_ACCESS_KEY": "demo",
    "AWS_REGION": "eu-west-1",
    "TRAILSCAN_ARCHIVE": ARCHIVE,
}
EXPORT = "export " + " ".join(f"{name}={value}" for name, value in SETTINGS.items())
FENCE = {  # whatever the user has set up stays out of this
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


def commands(endpoint: str) -> Iterator[str]:
    """What a responder would type."""
    sync = f"trailscan sync s3://{BUCKET}/ --endpoint-url {endpoint}"
    yield f"{sync} --archive {ARCHIVE}"
    yield "trailscan query --event StartSession"
    yield "trailscan query --user alice@example.com --format jsonl --columns event_time,event_name,target,source_ip_address"
    yield "trailscan sessions --columns started_utc,lasted,who_started,from,target,purpose,outcome"
    yield "trailscan verify"
    yield "trailscan coverage --event StartSession"
    yield sync
    yield "trailscan pack .demo/case.tar"
    yield "trailscan unpack .demo/case.tar --archive .demo/carried"
    yield "trailscan verify --archive .demo/carried"
    yield "trailscan show alice@example.com-k3v7 --archive .demo/carried"


def forget_the_user() -> None:
    """Leave none of the user's AWS settings to this process and its children: nothing here may reach a real account."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(SETTINGS | FENCE)


@contextmanager
def serving() -> Iterator[str]:
    """An S3 server on a free port of 127.0.0.1 that holds the sample bucket; gives its endpoint."""
    from moto.cloudtrail.responses import CloudTrailResponse
    from moto.server import ThreadedMotoServer

    # What sync also asks CloudTrail for, and moto lacks.
    CloudTrailResponse.list_public_keys = lambda _: json.dumps({"PublicKeyList": [public_key()]})  # type: ignore[attr-defined]
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line for each request
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        fill(endpoint)
        yield endpoint
    finally:
        server.stop()


def public_key() -> dict[str, object]:
    """The key that signed the sample bucket's digests, as ListPublicKeys tells it."""
    return {
        "Value": base64.b64encode(PUBLIC_KEY).decode(),
        "ValidityStartTime": 1771545600,
        "ValidityEndTime": 1774137600,
        "Fingerprint": FINGERPRINT,
    }


def fill(endpoint: str) -> None:
    """Put the sample bucket's files where a trail would have delivered them."""
    import boto3

    s3 = boto3.client("s3", endpoint_url=endpoint)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    metadata = json.loads((FOLDER / f"{BUCKET}.metadata.json").read_bytes())
    root = FOLDER / BUCKET
    for path in sorted(root.rglob("*.gz")):
        key = path.relative_to(root).as_posix()
        s3.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes(), Metadata=metadata.get(key, {}))


def run(command: str) -> bool:
    """Show a command, then run it; whether it ended well."""
    print(f"$ {command}", flush=True)
    code = subprocess.run([sys.executable, "-m", *shlex.split(command)], cwd=TOP, check=False).returncode
    print(flush=True)
    if code:
        print(f"this should not have happened: exit code {code}", file=sys.stderr)
    return code == 0


def invite(endpoint: str) -> None:
    """Say how to reach the server by hand, and keep it running until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        print(f"s3://{BUCKET} is served at {endpoint} until Ctrl-C. In another terminal:\n")
        print(EXPORT)
        print(f"trailscan sync s3://{BUCKET}/ --endpoint-url {endpoint}", flush=True)
        threading.Event().wait()


def main() -> int:
    """The demonstration, or with --serve only its server; 1, and no further, when a command ends otherwise than it should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", help="only serve the sample bucket, until Ctrl-C")
    options = parser.parse_args()
    forget_the_user()
    with serving() as endpoint:
        if options.serve:
            invite(endpoint)
            return 0
        shutil.rmtree(TOP / ".demo", ignore_errors=True)
        print(f"$ {EXPORT}")
        return 0 if all(run(command) for command in commands(endpoint)) else 1


if __name__ == "__main__":
    sys.exit(main())
