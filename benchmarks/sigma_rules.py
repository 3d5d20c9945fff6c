"""Sixty Sigma rules of the kinds that people write for CloudTrail, to time `detect` with, and what they take over an archive.

`python -m benchmarks.sigma_rules OUT` writes them, a file each; with `--archive DIR` it runs them over an archive instead.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# One call of one service, which is what most rules look for.
CALLS = """
cloudtrail: StopLogging DeleteTrail UpdateTrail PutEventSelectors
iam: CreateUser CreateAccessKey AttachUserPolicy PutUserPolicy CreateLoginProfile DeactivateMFADevice AddUserToGroup
iam: UpdateAssumeRolePolicy CreateInstanceProfile
ec2: RunInstances StopInstances ModifyInstanceAttribute CreateSnapshot ModifySnapshotAttribute AuthorizeSecurityGroupIngress
ec2: DeleteFlowLogs GetPasswordData DisableEbsEncryptionByDefault ImportKeyPair
s3: DeleteBucket PutBucketPolicy PutBucketAcl PutBucketLogging
sts: GetSessionToken GetFederationToken
guardduty: DeleteDetector CreateIPSet
config: StopConfigurationRecorder DeleteDeliveryChannel
kms: ScheduleKeyDeletion DisableKey
lambda: CreateFunction20150331 AddPermission20150331v2
rds: ModifyDBInstance RestoreDBInstanceFromDBSnapshot
secretsmanager: GetSecretValue
"""
# A call and what it was asked to do, or who asked, or from where.
PARTICULAR = (
    "eventSource: ec2.amazonaws.com\neventName: RunInstances\nrequestParameters.instanceType|startswith: [p3, p4, g5]",
    "eventName: AuthorizeSecurityGroupIngress\nrequestParameters.ipPermissions.items.ipRanges.items.cidrIp: 0.0.0.0/0",
    "eventSource: iam.amazonaws.com\neventName|startswith: Attach\nrequestParameters.policyArn|endswith: /AdministratorAccess",
    "eventSource: s3.amazonaws.com\neventName: PutBucketPolicy\nrequestParameters|contains|all: ['\"Principal\"', '\"\\*\"']",
    "eventSource: sts.amazonaws.com\neventName: AssumeRole\nrequestParameters.roleArn|contains: admin",
    "eventSource: signin.amazonaws.com\neventName: ConsoleLogin\nadditionalEventData.MFAUsed: 'No'",
    "eventSource: signin.amazonaws.com\neventName: ConsoleLogin\nresponseElements.ConsoleLogin: Failure",
    "userIdentity.type: Root\neventType|neq: AwsServiceEvent",
    "userAgent|contains: [kali, parrot, pentoo]",
    "userAgent|re: '(?i)(s3browser|rclone|pacu)'",
    "errorCode: [AccessDenied, UnauthorizedOperation]\nuserIdentity.type: AssumedRole",
    "sourceIPAddress|cidr: [198.51.100.0/24, '2001:db8::/32']\neventSource: iam.amazonaws.com",
    "requestParameters.documentName|startswith: AWS-StartPortForwarding",
    "userIdentity.sessionContext.sessionIssuer.userName|endswith: admin\nreadOnly: false",
    "responseElements.publiclyAccessible: true",
)
SESSIONS = ("outcome: opened\nflags: no-mfa", "outcome: opened\nhour|lt: 6", "outcome: denied\nwho|contains: admin")
KEYWORDS = ("['aws-marketplace-fraud', 'known-bad.example']",)


def rules() -> Iterator[str]:
    """Sixty rules as YAML."""
    for line in CALLS.strip().splitlines():
        service, names = line.split(": ")
        for name in names.split():
            yield _rule(name, f"eventSource: {service}.amazonaws.com\neventName: {name}\nerrorCode: null")
    for number, selection in enumerate(PARTICULAR):
        yield _rule(f"Particular {number}", selection)
    for number, selection in enumerate(SESSIONS):
        yield _rule(f"Sessions {number}", selection, "session-manager")
    for number, words in enumerate(KEYWORDS):
        yield _rule(f"Keywords {number}", words)
    counted = _rule("Denied", "errorCode|contains: denied").replace("title: Denied", "title: Denied\nname: denied")
    yield (
        f"{counted}---\ntitle: Denied often\ncorrelation:\n  type: event_count\n  rules: denied\n  group-by: userIdentity.arn\n"
        "  timespan: 10m\n  condition:\n    gte: 20\n"
    )


def _rule(title: str, selection: str, service: str = "cloudtrail") -> str:
    inner = "\n".join(f"    {line}" for line in selection.splitlines())
    source = f"logsource:\n  product: aws\n  service: {service}\n"
    return f"title: {title}\n{source}detection:\n  selection:\n{inner}\n  condition: selection\nlevel: medium\n"


def run_all(archive: str, each: bool) -> str:
    """Compile and run all of them over an archive, and say how long that took."""
    from trailscan.detect.rule import Uncompiled
    from trailscan.detect.sigma.compiling import compile_sigma
    from trailscan.store.database import Database

    started = time.perf_counter()
    compiled = [rule for text in rules() for rule in compile_sigma(text.encode(), "benchmark.yml")]
    prepared, hits = time.perf_counter(), 0
    with Database(f"{archive}/trailscan.duckdb").reading() as connection:
        for rule in compiled:
            if isinstance(rule, Uncompiled):
                sys.exit(f"{rule.place}: {rule.reason}")
            began = time.perf_counter()
            number = sum(1 for _ in rule.hits(connection))
            hits += number
            if each:
                print(f"{time.perf_counter() - began:6.3f} s {number:8,} {rule.rule.title}")
    done = time.perf_counter()
    return f"{len(compiled)} rules: compiled in {prepared - started:.2f} s, run in {done - prepared:.2f} s, {hits:,} hits"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", help="folder to write the rules to")
    parser.add_argument("--archive", help="archive to run them over")
    parser.add_argument("--each", action="store_true", help="time each rule")
    options = parser.parse_args()
    if options.out:
        Path(options.out).mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(rules(), 1):
            Path(options.out, f"rule-{number:02}.yml").write_text(text)
    if options.archive:
        print(run_all(options.archive, options.each))


if __name__ == "__main__":
    main()
