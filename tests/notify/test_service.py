"""Notices through Apprise, to a real mail server and a real web server; and through boto3 to moto's SNS."""

import email
import email.policy
import json
import time
from contextlib import suppress

import boto3
import pytest

from tests.cli.conftest import ACCESS_KEY, SECRET
from tests.fixtures.invented import start
from tests.notify.making import SHELL, mail, notice, web
from trailscan.aws.session import Access
from trailscan.notify.notifier import NotSent
from trailscan.notify.service import Service, without_mentions
from trailscan.notify.sns import Topic

PASSWORD = "p4ssw0rd-of-ours"
HOSTILE = "<img src=x onerror=alert(1)><!channel> @everyone [x](http://203.0.113.9)\r\nBcc: all@example.com"


@pytest.fixture
def web_server():
    with web() as server:
        yield server


@pytest.fixture
def letters():
    with mail() as running:
        yield running


def test_a_mail_is_plain_text_with_the_line_first_and_the_record_after_it(letters):
    Service("mailto", f"mailto://127.0.0.1:{letters.port}?from=trailscan@example.com&to=soc@example.com").send(notice())
    [letter] = [email.message_from_bytes(got, policy=email.policy.default) for got in letters.got]
    assert letter["Subject"] == "[high] Session started: ana on i-0aaaabbbbccccdddd"
    assert letter["To"] == "soc@example.com"
    told = letter.get_body(("plain",)).get_content()
    assert told.startswith(
        "Session started: ana, 2026-03-01 09:15:02 UTC, from 198.51.100.7, StartSession on i-0aaaabbbbccccdddd"
    )
    assert json.loads(told[told.index("{") :]) == SHELL


def test_nothing_of_a_log_becomes_markup_or_a_header_of_a_mail(letters):
    record = start("h", "ana-1", sourceIPAddress=HOSTILE, userAgent=HOSTILE)
    Service("mailto", f"mailto://127.0.0.1:{letters.port}?from=trailscan@example.com&to=soc@example.com").send(
        notice(record, title=HOSTILE)
    )
    letter = email.message_from_bytes(letters.got[0], policy=email.policy.default)
    assert letter["Bcc"] is None
    for part in letter.walk():
        if part.get_content_type() == "text/html":
            assert "<img" not in part.get_content()


def test_mails_do_not_wait_for_each_other(letters):
    service = Service("mailto", f"mailto://127.0.0.1:{letters.port}?from=trailscan@example.com&to=soc@example.com")
    started = time.monotonic()
    for _ in range(3):
        service.send(notice())
    assert time.monotonic() - started < 3
    assert len(letters.got) == 3


def test_a_mail_server_that_refuses_is_told_without_the_password(letters):
    letters.refusing = True
    url = f"mailto://127.0.0.1:{letters.port}?from=trailscan@example.com&to=soc@example.com&pass={PASSWORD}"
    with pytest.raises(NotSent) as raised:
        Service("mailto", url).send(notice())
    assert str(raised.value)
    assert PASSWORD not in str(raised.value)


def test_a_webhook_gets_the_text(web_server):
    Service("json", f"json://127.0.0.1:{web_server.port}/hook").send(notice())
    posted = json.loads(web_server.posted[0])
    assert posted["title"].startswith("[high] Session started")
    assert "i-0aaaabbbbccccdddd" in posted["message"]


def test_a_webhook_that_fails_is_told_without_any_part_of_its_url(web_server, capfd):
    web_server.status = 500
    with pytest.raises(NotSent) as raised:
        Service("json", f"json://{PASSWORD}:other%2Fs3cret@127.0.0.1:{web_server.port}/hook/{PASSWORD}").send(notice())
    assert "500" in str(raised.value)
    assert not [part for part in (PASSWORD, "other", "s3cret", "127.0.0.1") if part in str(raised.value)]
    assert capfd.readouterr() == ("", "")


def test_who_answers_late_has_taken_the_notice(web_server):
    web_server.delay = 5.0  # longer than the four seconds that Apprise itself would wait
    Service("json", f"json://127.0.0.1:{web_server.port}/hook").send(notice())
    assert len(web_server.posted) == 1


@pytest.mark.parametrize(
    "url",
    ["json://a.example/", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/", "xml://a.example/",
     "mailtos://a.example?from=b@a.example&to=c@a.example", "ntfy://topic"],
)  # fmt: skip
def test_every_service_may_take_as_long_as_a_command(url):
    service = Service(url.partition(":")[0], url)._apprise[0]
    assert service.socket_read_timeout >= 20


def test_a_url_may_say_how_long_to_wait(web_server):
    web_server.delay = 1.0
    with pytest.raises(NotSent):
        Service("json", f"json://127.0.0.1:{web_server.port}/hook?rto=0.3").send(notice())


def test_nobody_listening_is_told(web_server):
    port = web_server.port
    web_server.server_close()
    with pytest.raises(NotSent, match="JSON"):
        Service("json", f"json://127.0.0.1:{port}/").send(notice())


def test_slack_gets_markup_and_mentions_as_text(web_server):
    service = Service("slack", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/")
    service._apprise[0].webhook_url = f"http://127.0.0.1:{web_server.port}"  # type: ignore[attr-defined]
    with suppress(NotSent):  # it misses the word by which Slack says that it took a message; what was sent is what counts
        service.send(notice(start("h", "ana-1", sourceIPAddress=HOSTILE, userAgent="<@U1> <#C1> @here a@example.com")))
    sent = web_server.posted[0].decode()
    assert "a@example.com" in sent
    assert not [found for found in ("<!", "<@", "<#", "<img", "@everyone", "@here") if found in sent]


def test_mentions_are_broken_up_and_addresses_are_not():
    told = without_mentions("<!channel> <@U1> @Everyone @here. ana@example.com @hereafter")
    assert told == "< !channel> < @U1> @ Everyone @ here. ana@example.com @hereafter"


@pytest.fixture
def aws(monkeypatch, moto_url):
    for name, value in {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    return moto_url


def subscribed(url, name, **attributes):
    """A topic's ARN, and what came to a queue that is subscribed to it."""
    settings = {"endpoint_url": url, "region_name": "eu-west-1"}
    sns, sqs = (boto3.client(service, **settings) for service in ("sns", "sqs"))
    topic = sns.create_topic(Name=name, Attributes=attributes)["TopicArn"]
    queue = sqs.create_queue(QueueName=f"of-{name}", Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def came():
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        return [json.loads(message["Body"]) for message in received]

    return topic, came


def test_a_topic_gets_a_subject_and_the_event_as_eventbridge_shapes_it(aws):
    topic, came = subscribed(aws, "shells")
    Topic(topic, Access(endpoint_url=aws)).send(notice())
    [got] = came()
    assert got["Subject"] == "[high] Session started: ana on i-0aaaabbbbccccdddd"
    told = json.loads(got["Message"])
    assert (told["source"], told["detail"]) == ("aws.ssm", SHELL)


def test_a_fifo_topic_is_told_with_what_it_needs(aws):
    topic, came = subscribed(aws, "shells.fifo", FifoTopic="true", FifoQueue="true")
    Topic(topic, Access(endpoint_url=aws)).send(notice())
    assert len(came()) == 1


def test_a_topic_takes_a_record_larger_than_a_message(aws):
    topic, came = subscribed(aws, "large")
    Topic(topic, Access(endpoint_url=aws)).send(notice(SHELL | {"errorMessage": "x" * (300 << 10)}))
    assert json.loads(came()[0]["Message"])["truncated"] == ["detail.errorMessage"]


def test_a_topic_that_is_not_there_is_told(aws):
    with pytest.raises(NotSent, match="sns:none"):
        Topic("arn:aws:sns:eu-west-1:111122223333:none", Access(endpoint_url=aws)).send(notice())
