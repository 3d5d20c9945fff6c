"""Notices to an SNS topic: a short subject, and the EventBridge event with the line before it, as JSON.

Facts: Amazon SNS API Reference, Publish (subject under 100 ASCII characters, message of at most 256 KB, FIFO topics).
"""

import re
from typing import TYPE_CHECKING

from trailscan.aws.session import Access, Translated, open_session
from trailscan.detect.finding_table import Notice
from trailscan.errors import TrailscanError, UsageError
from trailscan.notify.message import encoded, subject
from trailscan.notify.notifier import NotSent, named

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import PublishInputTypeDef

LARGEST = 256 << 10  # bytes of a message
_FIFO = ".fifo"
_ARN = re.compile(r"arn:aws[a-z-]*:sns:([a-z]{2,}(?:-[a-z]+)+-\d+):\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?", re.ASCII)


class Topic:
    """`sns:ARN`, reached with the credentials of the bucket."""

    def __init__(self, arn: str, access: Access) -> None:
        if not (parsed := _ARN.fullmatch(arn)):
            raise UsageError(
                "--notify sns: what follows is not the ARN of a topic", "write sns:arn:aws:sns:REGION:ACCOUNT:NAME"
            )
        self._arn = arn
        self.name = named("sns", arn)
        self.shown = f"sns:{arn.rpartition(':')[2]}"
        self._told = Translated(f"the topic {self.shown}", "sns:Publish, and kms:GenerateDataKey for an encrypted topic")
        with self._told:
            session = open_session(access)
            self._client: SNSClient = session.client("sns", region_name=parsed[1], endpoint_url=access.endpoint_url)

    def send(self, notice: Notice) -> None:
        """Publish. Raises NotSent, with AWS's reason."""
        message: PublishInputTypeDef = {
            "TopicArn": self._arn,
            "Subject": subject(notice),
            "Message": encoded(notice, LARGEST).decode("ascii"),
        }
        if self._arn.endswith(_FIFO):
            message |= {"MessageGroupId": "trailscan", "MessageDeduplicationId": notice.finding.finding_id}
        try:
            with self._told:
                self._client.publish(**message)
        except TrailscanError as error:
            raise NotSent(error.message) from error
