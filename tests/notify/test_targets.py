"""--notify URLs: whom they name, what is wrong with them, and that neither names nor errors tell a secret."""

import pytest

from trailscan.errors import UsageError
from trailscan.notify.targets import parse

TOPIC = "sns:arn:aws:sns:eu-west-1:111122223333:shells"
SECRET = "s3cr3t-T0ken"


def test_each_kind_is_shown_without_its_secrets():
    urls = [TOPIC, f"mailto://user:{SECRET}@example.com", f"json://127.0.0.1/{SECRET}", f"exec:cat {SECRET}", "stdout:"]
    notifiers = parse(urls)
    assert [each.shown for each in notifiers] == ["sns:shells", "mailto://***", "json://***", "exec:cat", "stdout"]
    assert not [each for each in notifiers if SECRET in each.name]


def test_a_name_tells_addresses_apart_and_is_the_same_the_next_time():
    one, other = (f"json://127.0.0.1/{path}" for path in "ab")
    first, second = (each.name for each in parse([one, other]))
    assert first != second
    assert parse([one])[0].name == first
    assert first.startswith("json ")


def test_an_address_given_twice_is_told_once():
    assert len(parse(["stdout:", "stdout:", TOPIC, f" {TOPIC}"])) == 2


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (SECRET, "it is not a URL"),
        (f"https://example.com/{SECRET}", "--notify https"),
        (f"slack://{SECRET}", "--notify slack"),
        (f"mailto://{SECRET}", "--notify mailto"),
        (f"sns:{SECRET}", "--notify sns"),
        ("sns:arn:aws:sqs:eu-west-1:111122223333:shells", "not the ARN of a topic"),
        (f"exec:no-such-command {SECRET}", "no command 'no-such-command'"),
        (f"exec:'{SECRET}", "cannot be split"),
        ("exec:", "names no command"),
        (f"stdout:{SECRET}", "takes nothing"),
    ],
)
def test_a_wrong_url_is_named_by_its_kind_only(url, said, capfd):
    with pytest.raises(UsageError, match="--notify") as raised:
        parse([url])
    assert said in raised.value.message
    assert SECRET not in f"{raised.value.message}{raised.value.hint}{raised.value.__cause__ or ''}"
    assert capfd.readouterr() == ("", "")
