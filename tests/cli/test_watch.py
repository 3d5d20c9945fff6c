"""`trailscan watch`, run as a user runs it: what appears in a bucket is told once, by mail, SNS, webhook and command."""

import email
import email.policy
import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import boto3
import pytest

from tests.cli.conftest import ACCESS_KEY, ENVIRONMENT, SECRET, TOP, Case, Ended, run
from tests.notify.making import mail, web
from tests.support import world
from tests.support.standin import Rule

PASSWORD = "p4ssw0rd-of-ours"
PATTERN = {"source": ["aws.ssm"], "detail-type": ["AWS API Call via CloudTrail"], "detail": {"eventName": ["StartSession"]}}
STARTED = "Shell session started"


class Watched:
    """A case's bucket, and rules that find each StartSession in it."""

    def __init__(self, case: Case, rules: Path, url: str) -> None:
        self.case, self.rules, self.url = case, rules, url
        self._world = world.World(3)
        self._number = 0

    def session(self, ago: timedelta = timedelta(minutes=2)) -> str:
        """An object with a StartSession of some time ago, delivered just now; returns its key."""
        now = datetime.now(UTC).replace(microsecond=0)
        self._number += 1
        record = self._world.start_session(now - ago, "111122223333", "eu-west-1")
        key = world.key("111122223333", "eu-west-1", now, f"Session{self._number:09}")
        return self.put(key, world.object_bytes([record]))

    def put(self, key: str, body: bytes) -> str:
        self.case.put(key, body)
        self.case.serve()
        return key

    def arguments(self, *more: str) -> list[str]:
        source = f"s3://{self.case.bucket}/"
        always = ["--rules", str(self.rules), "--endpoint-url", self.url, "--archive", str(self.case.archive), "--jobs", "1"]
        return ["watch", source, *always, *more]

    def once(self, *more: str) -> Ended:
        return run(*self.arguments("--once", *more))

    def start(self, *more: str) -> "Running":
        return Running(self.arguments(*more))


class InMoto(Watched):
    """The same in moto's S3."""

    def put(self, key: str, body: bytes) -> str:
        client(self.url, "s3").put_object(Bucket=self.case.bucket, Key=key, Body=body)
        return key


class Running:
    """A watch that goes on until it is told to end."""

    def __init__(self, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trailscan", *arguments],
            cwd=TOP,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out, self.err = self.process.stdout, self.process.stderr
        self.said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        self.process.communicate()

    def wait_for(self, words: str) -> None:
        """Read stderr until it has said something."""
        while words not in self.said:
            line = self.err.readline()
            assert line, self.said
            self.said += line

    def end(self) -> int:
        """Ask it to end, as a service manager does."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=10)
        self.said += said
        return self.process.returncode


def client(url: str, service: str) -> Any:
    return boto3.client(
        service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET
    )


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rule.json"
    path.write_text(json.dumps({"Name": STARTED, "EventPattern": json.dumps(PATTERN)}))
    return path


@pytest.fixture
def watched(case: Case, rules: Path) -> Watched:
    return Watched(case, rules, case.standin.url)


@pytest.fixture
def in_moto(case: Case, rules: Path, moto_url: str) -> Watched:
    client(moto_url, "s3").create_bucket(Bucket=case.bucket)
    return InMoto(case, rules, moto_url)


class Sqs:
    """A queue of moto's."""

    def __init__(self, url: str, name: str) -> None:
        self.sqs = client(url, "sqs")
        self.url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        self.arn = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def send(self, message: object) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=message if isinstance(message, str) else json.dumps(message))

    def received(self) -> list[Any]:
        got = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        return [json.loads(message["Body"]) for message in got]

    def comes_to(self, wanted: int) -> None:
        """Wait until so many messages are left: one is deleted a moment after what it named was done."""
        deadline = time.monotonic() + 10
        while self.left() != wanted and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.left() == wanted

    def left(self) -> int:
        """Messages that nobody deleted, shown or not."""
        shown = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]
        return int(shown["ApproximateNumberOfMessages"]) + int(shown["ApproximateNumberOfMessagesNotVisible"])


def created(bucket: str, key: str) -> dict[str, Any]:
    return {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}]}


def posts(server: Any) -> list[str]:
    return [json.loads(posted)["title"] for posted in server.posted]


def test_a_session_in_the_bucket_yields_one_mail_and_one_sns_message_also_after_a_restart(in_moto: Watched) -> None:
    topic = client(in_moto.url, "sns").create_topic(Name="shells")["TopicArn"]
    inbox = Sqs(in_moto.url, "inbox")
    client(in_moto.url, "sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox.arn)
    with mail() as letters:
        address = f"mailto://127.0.0.1:{letters.port}?from=trailscan@example.com&to=soc@example.com&pass={PASSWORD}"
        tell = ("--notify", f"sns:{topic}", "--notify", address)
        in_moto.put(world.key("111122223333", "eu-west-1", datetime.now(UTC), "Quiet"), world.object_bytes([]))
        assert in_moto.once(*tell).code == 0
        in_moto.session()
        ended = in_moto.once(*tell)
        assert ended.code == 0, ended.err
        assert "told sns:shells: 1 finding" in ended.err
        assert "told mailto://***: 1 finding" in ended.err
        again = in_moto.once(*tell)
        assert (again.code, again.err) == (0, "")
    [letter] = [email.message_from_bytes(got, policy=email.policy.default) for got in letters.got]
    assert letter["Subject"].startswith(f"[medium] {STARTED}: ")
    [message] = inbox.received()
    assert message["Subject"] == letter["Subject"]
    assert json.loads(message["Message"])["detail"]["eventName"] == "StartSession"
    kept = b"".join(path.read_bytes() for path in in_moto.case.archive.rglob("*") if path.is_file())
    assert PASSWORD not in ended.err
    assert PASSWORD.encode() not in kept


def test_a_queue_wakes_it_and_only_what_was_done_is_deleted(in_moto: Watched) -> None:
    queue = Sqs(in_moto.url, f"trail-{in_moto.case.bucket}")
    bucket = in_moto.case.bucket
    in_moto.session()
    queue.send({"Event": "s3:TestEvent", "Bucket": bucket})
    with in_moto.start("--queue", queue.url) as watch:
        assert json.loads(watch.out.readline())["rule"]["title"] == STARTED
        watch.wait_for("told stdout: 1 finding")
        for wrap in (created, _by_cloudtrail, _by_sns):
            key = in_moto.session()
            queue.send(wrap(bucket, key))
            told = json.loads(watch.out.readline())
            assert told["object"]["key"] == key
        queue.send("nonsense")
        queue.send(created("another-bucket", "AWSLogs/x"))
        queue.send(created(bucket, "AWSLogs/111122223333/Config/eu-west-1/2026/3/1/other.json.gz"))
        watch.wait_for("left there: it is not JSON")
        watch.wait_for("left there: it names s3://another-bucket/AWSLogs/x")
        queue.comes_to(2)
        assert watch.end() == 0
    assert watch.said.count("left there") == 2


def _by_cloudtrail(bucket: str, key: str) -> dict[str, Any]:
    return {"s3Bucket": bucket, "s3ObjectKey": [key]}


def _by_sns(bucket: str, key: str) -> dict[str, Any]:
    return {"Type": "Notification", "Message": json.dumps(created(bucket, key))}


def test_a_webhook_that_fails_is_told_later_and_hinders_no_command(watched: Watched, tmp_path: Path) -> None:
    script = tmp_path / "notify.sh"
    script.write_text(f"#!/bin/sh\ncat >> {tmp_path}/told\n")
    script.chmod(0o755)
    watched.session()
    with web(500) as server:
        tell = ("--notify", f"json://{PASSWORD}@127.0.0.1:{server.port}/", "--notify", f"exec:{script}")
        failed = watched.once(*tell)
        assert failed.code == 1
        assert "could not tell json://*** (1 waiting" in failed.err
        assert PASSWORD not in failed.err
        assert "told exec:notify.sh: 1 finding" in failed.err
        server.posted.clear()
        server.status = 200
        assert watched.once(*tell).code == 0
        assert watched.once(*tell).err == ""
        assert len(posts(server)) == 1
    assert len((tmp_path / "told").read_text().splitlines()) == 1
    sent = watched.case.sql("SELECT notifier, attempts, sent_at IS NOT NULL FROM notices ORDER BY notifier")
    assert [(str(name).split()[0], attempts, was_sent) for name, attempts, was_sent in sent] == [
        ("exec", 1, True),
        ("json", 2, True),
    ]


def test_what_is_long_past_is_kept_and_told_only_with_backfill(watched: Watched) -> None:
    watched.session(timedelta(days=3))
    watched.session()
    first = watched.once()
    assert len(first.out.splitlines()) == 1
    assert "1 finding of events before" in first.err
    watched.session(timedelta(days=3))
    late = watched.once()
    assert len(late.out.splitlines()) == 1, "what comes late after the first time is told"
    assert len(watched.once("--backfill").out.splitlines()) == 1
    assert watched.once("--backfill").out == ""


def test_a_damaged_object_stops_nothing(watched: Watched) -> None:
    good = watched.session()
    watched.put(good.replace("Session", "Damaged"), b"\x1f\x8b\x08 not gzip")
    ended = watched.once()
    assert ended.code == 3
    assert "1 object damaged (trailscan status)" in ended.err
    assert json.loads(ended.out)["object"]["key"] == good


def test_expired_credentials_are_named_and_the_next_round_tries_again(watched: Watched) -> None:
    watched.session()
    with watched.start("--every", "1s") as watch:
        json.loads(watch.out.readline())
        watched.case.serve(Rule("", "expired", times=-1, operation="ListObjects"))
        watch.wait_for("AWS does not accept the credentials (ExpiredToken)")
        watch.wait_for("renew them")
        key = watched.session()  # served without faults
        assert json.loads(watch.out.readline())["object"]["key"] == key
        assert watch.end() == 0
    assert "again in 5 s" in watch.said


def test_a_bucket_that_cannot_be_reached_fails_a_single_look(watched: Watched) -> None:
    watched.session()
    watched.case.serve(Rule("", "expired", times=-1, operation="ListObjects"))
    ended = watched.once()
    assert ended.code == 1
    assert "does not accept the credentials" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--notify", f"slack://{PASSWORD}"], "--notify slack"),
        (["--notify", "exec:no-such-command"], "no command 'no-such-command'"),
        (["--queue", "trail-queue"], "is not the URL of an SQS queue"),
        (["--rules", "no-such-rules"], "there are no rules at no-such-rules"),
        (["--every", "soon"], "is not a span of time"),
    ],
)
def test_what_is_wrong_with_the_arguments_is_said_before_the_first_sync(
    watched: Watched, arguments: list[str], said: str
) -> None:
    ended = watched.once(*arguments)
    assert ended.code == 2
    assert said in ended.err
    assert PASSWORD not in ended.err
    assert not watched.case.archive.exists()


def test_the_event_history_is_not_watched_and_the_way_to_do_it_is_said(watched: Watched) -> None:
    ended = run("watch", "event-history:", "--archive", str(watched.case.archive))
    assert ended.code == 2
    assert "trailscan detect --new --notify" in ended.err


def test_rules_none_of_which_can_run_are_refused(watched: Watched) -> None:
    watched.rules.write_text('{"source": []}')
    ended = watched.once()
    assert ended.code == 2
    assert "there is no rule that can run" in ended.err


def test_quiet_rounds_leave_no_line_of_custody(watched: Watched) -> None:
    watched.session()
    with watched.start("--every", "1s", "--only", "StartSession") as watch:
        watch.out.readline()
        time.sleep(2.5)
        watched.session()
        watch.out.readline()
        assert watch.end() == 0
    lines = (watched.case.archive / "custody.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert run("custody", "--archive", str(watched.case.archive)).code == 0
