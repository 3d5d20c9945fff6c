"""A record as EventBridge would have seen it, and which ones it keeps to itself."""

import pytest

from tests.detect.eventbridge.asking import matched
from trailscan.detect.eventbridge.envelope import envelope, only_reads, size_of

RECORD = {
    "eventTime": "2026-03-01T09:15:02Z",
    "eventSource": "ssm.amazonaws.com",
    "eventName": "StartSession",
    "eventType": "AwsApiCall",
    "eventID": "0f1e2d3c-0000-4000-8000-000000000001",
    "awsRegion": "eu-west-1",
    "recipientAccountId": "111122223333",
    "readOnly": False,
}


def test_a_record_is_the_detail_of_its_event():
    assert envelope(RECORD) == {
        "version": "0",
        "id": "0f1e2d3c-0000-4000-8000-000000000001",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ssm",
        "account": "111122223333",
        "time": "2026-03-01T09:15:02Z",
        "region": "eu-west-1",
        "resources": [],
        "detail": RECORD,
    }


@pytest.mark.parametrize(
    ("event_type", "detail_type"),
    [
        ("AwsApiCall", "AWS API Call via CloudTrail"),
        ("AwsConsoleSignIn", "AWS Console Signin via CloudTrail"),
        ("AwsConsoleAction", "AWS Console Action via CloudTrail"),
        ("AwsServiceEvent", "AWS Service Event via CloudTrail"),
        ("AwsCloudTrailInsight", "AWS Insight via CloudTrail"),
        ("AwsVpceEvent", "AWS Network Activity Event via CloudTrail"),
        ("AwsVpceEvents", "AWS Network Activity Event via CloudTrail"),
        (None, "AWS API Call via CloudTrail"),
        (["AwsApiCall"], "AWS API Call via CloudTrail"),
    ],
)
def test_the_kind_of_event_decides_the_detail_type(event_type, detail_type):
    assert envelope(RECORD | {"eventType": event_type})["detail-type"] == detail_type


def test_what_a_record_does_not_say_is_empty():
    event = envelope({"eventName": 7, "eventID": None})
    assert [event[name] for name in ("id", "account", "time", "region", "source")] == ["", "", "", "", "aws.cloudtrail"]


def test_the_pattern_that_people_use_matches():
    session = {
        "source": ["aws.ssm"],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {"eventSource": ["ssm.amazonaws.com"], "eventName": ["StartSession", "ResumeSession"]},
    }
    assert matched(session, envelope(RECORD))
    assert not matched(session, envelope(RECORD | {"eventSource": "athena.amazonaws.com"}))


READ = RECORD | {"eventName": "DescribeInstances", "eventSource": "ec2.amazonaws.com", "readOnly": True}


@pytest.mark.parametrize("change", [{}, {"eventName": "ListBuckets"}, {"eventName": "GetParameter"}, {"managementEvent": True}])
def test_read_only_management_events_are_kept_back(change):
    assert only_reads(READ | change)


@pytest.mark.parametrize(
    "change",
    [
        {"readOnly": False},
        {"readOnly": "true"},
        {"readOnly": None},
        {"eventName": "AssumeRole"},
        {"eventName": "LookupEvents"},
        {"eventName": "GetSessionToken", "eventSource": "sts.amazonaws.com"},
        {"managementEvent": False},
        {"eventCategory": "Data", "managementEvent": True},
        {"eventCategory": "NetworkActivity"},
    ],
)
def test_other_events_are_not(change):
    assert not only_reads(READ | change)


def test_a_size_is_in_bytes_and_bears_broken_characters():
    assert size_of({"a": "é\ud800"}) == len('{"a":""}') + 2 + 3
