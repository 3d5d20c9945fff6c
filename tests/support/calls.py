"""The invented account's API calls as templates: what CloudTrail records of each call's request and response.

What `$name` stands for in a template is said in `templates`.
Facts: AWS CloudTrail User Guide, record contents and log file examples.
"""

from dataclasses import dataclass
from typing import Any

HIDDEN = "<sensitiveDataRemoved>"
POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"Team\\u0020$word","Effect":"Allow","Principal":{"AWS":'
    '"arn:aws:iam::$account:role/$role"},"Action":["s3:GetObject","s3:ListBucket"],"Resource":'
    '["arn:aws:s3:::$bucket","arn:aws:s3:::$bucket/*"],"Condition":{"StringLike":{"aws:userid":"AROA*:${aws:username}"}}}]}'
)
TRUST = (
    '{\n  "Version": "2012-10-17",\n  "Statement": [\n    {\n      "Effect": "Allow",\n      "Principal": '
    '{ "Service": "ec2.amazonaws.com" },\n      "Action": "sts:AssumeRole"\n    }\n  ]\n}'
)
ANYONE = ("user", "user", "user", "role", "sso", "instance")  # users thrice as often as the others
PERSON = ("user", "sso")


@dataclass(frozen=True, slots=True)
class Call:
    """One API action: how often it is called and by whom, and the templates of what is recorded.

    `extra` holds whole top-level fields that replace or join the usual ones.
    """

    source: str
    name: str
    weight: float
    request: Any = None
    response: Any = None
    who: tuple[str, ...] = ANYONE
    extra: dict[str, Any] | None = None

    @property
    def read_only(self) -> bool:
        """As CloudTrail's readOnly: the name's verb decides."""
        return self.name.startswith(("Describe", "Get", "List", "Head", "Lookup", "Decrypt", "Batch", "Assume", "Query"))


S3_HOST = {"bucketName": "$bucket", "Host": "$bucket.s3.$region.amazonaws.com"}
S3_OBJECT = {**S3_HOST, "key": "$word/2026/03/$hex/part-$number.snappy.parquet"}
S3_EXTRA = {
    "SignatureVersion": "SigV4",
    "CipherSuite": "TLS_AES_128_GCM_SHA256",
    "bytesTransferredIn": 0,
    "AuthenticationMethod": "AuthHeader",
    "x-amz-id-2": "$token",
    "bytesTransferredOut": "$size",
}
S3_DATA = {
    "additionalEventData": S3_EXTRA,
    "resources": [
        {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::$bucket/$word/2026/03/$hex/part-$number.snappy.parquet"},
        {"accountId": "$account", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::$bucket"},
    ],
    "managementEvent": False,
    "eventCategory": "Data",
}
KEY_ARN = "arn:aws:kms:$region:$account:key/$hex-1111-4222-8333-444455556666"
KMS_KEY = {"resources": [{"accountId": "$account", "type": "AWS::KMS::Key", "ARN": KEY_ARN}]}
ROLE_ARN = "arn:aws:iam::$account:role/$role"
GIVEN_CREDENTIALS = {
    "credentials": {
        "accessKeyId": "$access",
        "sessionToken": "$token",
        "expiration": "Mar 1, 2026, 9:15:02\u202fAM",
    },
    "assumedRoleUser": {
        "assumedRoleId": "AROA$unique:$person",
        "arn": "arn:aws:sts::$account:assumed-role/$role/$person",
    },
}
ASSUMED = {"resources": [{"accountId": "$account", "type": "AWS::IAM::Role", "ARN": ROLE_ARN}]}
ITEMS = {"items": [{"instanceId": "$instance"}]}
FILTERS = {"items": [{"name": "tag:Name", "valueSet": {"items": [{"value": "prod-$word"}, {"value": "prod-$word2"}]}}]}
STATE = {
    "items": [
        {
            "instanceId": "$instance",
            "currentState": {"code": 64, "name": "stopping"},
            "previousState": {"code": 16, "name": "running"},
        }
    ]
}
SIGN_IN = {
    "eventType": "AwsConsoleSignIn",
    "additionalEventData": {
        "LoginTo": "https://console.aws.amazon.com/console/home?region=$region&state=hashArgs%23&isauthcode=true",
        "MobileVersion": "No",
        "MFAUsed": "$mfa",
    },
}

CALLS: tuple[Call, ...] = (
    Call("ec2", "DescribeInstances", 9, {"instancesSet": ITEMS, "filterSet": FILTERS, "maxResults": 1000}),
    Call("ec2", "DescribeVolumes", 3, {"volumeSet": {}, "filterSet": FILTERS}),
    Call("ec2", "DescribeSecurityGroups", 3, {"securityGroupSet": {"items": [{"groupId": "sg-0$hex"}]}, "filterSet": {}}),
    Call("ec2", "DescribeTags", 2, {"maxResults": 500, "filterSet": FILTERS}),
    Call("ec2", "DescribeRegions", 1, {"regionSet": {}, "allRegions": True}),
    Call(
        "ec2",
        "DescribeNetworkInterfaces",
        3,
        {"networkInterfaceIdSet": {"items": [{"networkInterfaceId": "eni-0$longhex"}]}, "filterSet": {}},
    ),
    Call(
        "ec2",
        "RunInstances",
        0.6,
        {
            "instancesSet": {"items": [{"imageId": "ami-0$longhex", "minCount": 1, "maxCount": 1, "keyName": "$word-key"}]},
            "userData": HIDDEN,
            "instanceType": "m7g.large",
            "blockDeviceMapping": {},
            "monitoring": {"enabled": False},
            "clientToken": "$guid2",
            "subnetId": "subnet-0$hex2",
        },
        {
            "requestId": "$guid3",
            "reservationId": "r-0$longhex2",
            "ownerId": "$account",
            "groupSet": {},
            "instancesSet": {
                "items": [
                    {
                        "instanceId": "i-0$longhex3",
                        "imageId": "ami-0$longhex",
                        "instanceState": {"code": 0, "name": "pending"},
                        "privateIpAddress": "192.0.2.17",
                        "launchTime": "$millis",
                    }
                ]
            },
        },
    ),
    Call(
        "ec2",
        "StopInstances",
        0.5,
        {"instancesSet": ITEMS, "force": False},
        {"requestId": "$guid2", "instancesSet": STATE},
    ),
    Call("ec2", "TerminateInstances", 0.4, {"instancesSet": ITEMS}, {"requestId": "$guid2", "instancesSet": STATE}),
    Call(
        "ec2",
        "CreateTags",
        1,
        {
            "resourcesSet": {"items": [{"resourceId": "$instance"}]},
            "tagSet": {"items": [{"key": "Purpose", "value": "$note"}]},
        },
        {"requestId": "$guid2", "_return": True},
    ),
    Call(
        "ec2",
        "AuthorizeSecurityGroupIngress",
        0.4,
        {
            "groupId": "sg-0$hex",
            "ipPermissions": {
                "items": [
                    {
                        "ipProtocol": "tcp",
                        "fromPort": 443,
                        "toPort": 443,
                        "ipRanges": {"items": [{"cidrIp": "198.51.100.0/24"}]},
                    }
                ]
            },
        },
        {"requestId": "$guid2", "_return": True},
    ),
    Call(
        "ec2",
        "CreateSnapshot",
        0.5,
        {"volumeId": "vol-0$longhex", "description": "$note"},
        {
            "requestId": "$guid2",
            "snapshotId": "snap-0$longhex2",
            "volumeId": "vol-0$longhex",
            "status": "pending",
            "startTime": "$millis",
            "encrypted": True,
        },
    ),
    Call("s3", "GetObject", 10, S3_OBJECT, None, (*ANYONE, "federated"), S3_DATA),
    Call(
        "s3",
        "PutObject",
        5,
        {**S3_OBJECT, "x-amz-acl": "bucket-owner-full-control"},
        {"x-amz-server-side-encryption": "AES256", "x-amz-version-id": "$token2"},
        ANYONE,
        S3_DATA,
    ),
    Call("s3", "HeadObject", 3, S3_OBJECT, None, ANYONE, S3_DATA),
    Call("s3", "DeleteObject", 1, S3_OBJECT, None, ANYONE, S3_DATA),
    Call("s3", "GetBucketAcl", 4, {**S3_HOST, "acl": ""}, None, ("service",), {"additionalEventData": S3_EXTRA}),
    Call(
        "s3",
        "ListBuckets",
        1,
        {"Host": "s3.$region.amazonaws.com"},
        None,
        (*PERSON, "federated"),
        {"additionalEventData": S3_EXTRA},
    ),
    Call(
        "s3",
        "PutBucketPolicy",
        0.3,
        {**S3_HOST, "policy": "", "bucketPolicy": POLICY},
        None,
        PERSON,
        {"additionalEventData": S3_EXTRA},
    ),
    Call("s3", "GetBucketLocation", 1, {**S3_HOST, "location": ""}, None, ANYONE, {"additionalEventData": S3_EXTRA}),
    Call(
        "sts",
        "AssumeRole",
        55,
        {"roleArn": ROLE_ARN, "roleSessionName": "$person", "durationSeconds": 3600},
        GIVEN_CREDENTIALS,
        ("service",) * 9 + ("role",),
        ASSUMED,
    ),
    Call(
        "sts",
        "AssumeRoleWithSAML",
        0.3,
        {
            "sAMLAssertionID": "_$guid2",
            "roleSessionName": "$person@example.com",
            "roleArn": ROLE_ARN,
            "principalArn": "arn:aws:iam::$account:saml-provider/ExampleIdP",
        },
        GIVEN_CREDENTIALS,
        ("saml",),
        ASSUMED,
    ),
    Call(
        "sts",
        "AssumeRoleWithWebIdentity",
        1,
        {"roleArn": ROLE_ARN, "roleSessionName": "orders-$number"},
        GIVEN_CREDENTIALS,
        ("web",),
        ASSUMED,
    ),
    Call("sts", "GetCallerIdentity", 3, None, None, (*ANYONE, "federated", "root")),
    Call(
        "kms",
        "Decrypt",
        8,
        {"encryptionContext": {"aws:s3:arn": "arn:aws:s3:::$bucket"}, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"},
        None,
        ANYONE,
        KMS_KEY,
    ),
    Call(
        "kms",
        "GenerateDataKey",
        10,
        {"keyId": KEY_ARN, "keySpec": "AES_256", "encryptionContext": {"aws:s3:arn": "arn:aws:s3:::$bucket"}},
        None,
        ("service",) * 6 + ("role",),
        {**KMS_KEY, "readOnly": True, "sharedEventID": "$guid4"},
    ),
    Call(
        "kms",
        "CreateGrant",
        0.4,
        {"keyId": KEY_ARN, "granteePrincipal": ROLE_ARN, "operations": ["Decrypt", "Encrypt"]},
        {"grantId": "$token", "keyId": KEY_ARN},
        ANYONE,
        KMS_KEY,
    ),
    Call(
        "kms",
        "RotateKey",
        0.1,
        None,
        None,
        ("event",),
        {**KMS_KEY, "eventType": "AwsServiceEvent", "serviceEventDetails": {"keyId": "$guid2"}},
    ),
    Call(
        "ssm",
        "UpdateInstanceInformation",
        5,
        {
            "instanceId": "$instance",
            "agentVersion": "3.3.2299.0",
            "agentStatus": "Active",
            "platformType": "Linux",
            "platformName": "Amazon Linux",
            "iPAddress": "192.0.2.17",
            "computerName": "ip-192-0-2-17",
        },
        None,
        ("instance",),
    ),
    Call(
        "ssm",
        "DescribeSessions",
        0.2,
        {"state": "Active", "filters": [{"key": "Owner", "value": "$person"}]},
        None,
        PERSON,
    ),
    Call("ssm", "GetConnectionStatus", 0.2, {"target": "$instance"}, None, PERSON),
    Call("ssm", "GetParametersByPath", 1.5, {"path": "/prod/$word", "withDecryption": True, "recursive": True}),
    Call(
        "ssm",
        "PutParameter",
        0.3,
        {"name": "/prod/$word", "value": "HIDDEN_DUE_TO_SECURITY_REASONS", "type": "SecureString"},
        {"version": "$number", "tier": "Standard"},
    ),
    Call(
        "ssm",
        "SendCommand",
        0.15,
        {
            "documentName": "AWS-RunShellScript",
            "instanceIds": ["$instance"],
            "interactive": False,
            "parameters": "HIDDEN_DUE_TO_SECURITY_REASONS",
            "timeoutSeconds": 600,
        },
        {
            "command": {
                "commandId": "$guid2",
                "documentName": "AWS-RunShellScript",
                "documentVersion": "$DEFAULT",
                "instanceIds": ["$instance"],
                "status": "Pending",
                "requestedDateTime": "Mar 1, 2026, 8:23:24\u202fAM",
                "targetCount": 1,
            }
        },
        PERSON,
    ),
    Call(
        "ssm",
        "CreateControlChannel",
        0.8,
        {"channelId": "$instance", "messageSchemaVersion": "1.0", "requestId": "$guid2"},
        {
            "messageSchemaVersion": "1.0",
            "tokenValue": "Value hidden due to security reasons.",
            "url": "wss://ssmmessages.$region.amazonaws.com/v1/control-channel/$instance?role=subscribe&stream=input",
        },
        ("instance",),
        {"managementEvent": False, "eventCategory": "Data"},
    ),
    Call("iam", "GetRole", 3, {"roleName": "$role"}),
    Call("iam", "ListAttachedRolePolicies", 2, {"roleName": "$role"}),
    Call("iam", "GetUser", 1, None, None, (*PERSON, "root")),
    Call(
        "iam",
        "CreateRole",
        0.2,
        {"roleName": "$role-$number", "assumeRolePolicyDocument": TRUST, "path": "/"},
        {
            "role": {
                "path": "/",
                "roleName": "$role-$number",
                "roleId": "AROA$unique",
                "arn": "arn:aws:iam::$account:role/$role-$number",
                "assumeRolePolicyDocument": "%7B%22Version%22%3A%222012-10-17%22%7D",
                "createDate": "Mar 1, 2026, 8:00:00\u202fAM",
            }
        },
        PERSON,
    ),
    Call(
        "iam",
        "PutRolePolicy",
        0.3,
        {"roleName": "$role", "policyName": "inline-$hex", "policyDocument": POLICY},
        None,
        PERSON,
    ),
    Call(
        "iam",
        "CreateAccessKey",
        0.1,
        {"userName": "$person"},
        {
            "accessKey": {
                "userName": "$person",
                "accessKeyId": "AKIA$unique",
                "status": "Active",
                "createDate": "Mar 1, 2026, 8:00:00\u202fAM",
            }
        },
        PERSON,
    ),
    Call("lambda", "ListFunctions20150331", 2, {"maxItems": 50}),
    Call("lambda", "GetFunction20150331v2", 2, {"functionName": "arn:aws:lambda:$region:$account:function:$word"}),
    Call(
        "lambda",
        "UpdateFunctionCode20150331v2",
        0.3,
        {"functionName": "$word", "publish": False, "dryRun": False, "zipFile": HIDDEN},
        {
            "functionName": "$word",
            "runtime": "python3.13",
            "environment": {"variables": HIDDEN},
            "codeSha256": "$token",
            "version": "$LATEST",
        },
    ),
    Call(
        "logs",
        "CreateLogStream",
        7,
        {"logGroupName": "/aws/lambda/$word", "logStreamName": "2026/03/01/[$LATEST]$guid2"},
        None,
        ("role", "instance"),
    ),
    Call("logs", "DescribeLogGroups", 2, {"logGroupNamePrefix": "/aws/$word", "limit": 50}),
    Call("logs", "PutRetentionPolicy", 0.3, {"logGroupName": "/aws/lambda/$word", "retentionInDays": 365}, None, PERSON),
    Call("monitoring", "DescribeAlarms", 2, {"alarmNamePrefix": "prod-$word", "maxRecords": 100}),
    Call(
        "monitoring",
        "PutMetricAlarm",
        0.3,
        {
            "alarmName": "prod-$word",
            "metricName": "5XXError",
            "threshold": 10.0,
            "period": 60,
            "namespace": "AWS/ApplicationELB",
            "evaluationPeriods": 3,
            "comparisonOperator": "GreaterThanThreshold",
        },
    ),
    Call(
        "dynamodb",
        "DescribeTable",
        2,
        {"tableName": "$word"},
        None,
        ANYONE,
        {
            "resources": [
                {
                    "accountId": "$account",
                    "type": "AWS::DynamoDB::Table",
                    "ARN": "arn:aws:dynamodb:$region:$account:table/$word",
                }
            ]
        },
    ),
    Call(
        "dynamodb",
        "GetItem",
        4,
        {"tableName": "$word", "key": {"id": HIDDEN}},
        None,
        ("role", "instance"),
        {
            "resources": [
                {
                    "accountId": "$account",
                    "type": "AWS::DynamoDB::Table",
                    "ARN": "arn:aws:dynamodb:$region:$account:table/$word",
                }
            ],
            "managementEvent": False,
            "eventCategory": "Data",
        },
    ),
    Call(
        "secretsmanager",
        "GetSecretValue",
        3,
        {"secretId": "arn:aws:secretsmanager:$region:$account:secret:prod/$word-$hex"},
    ),
    Call("rds", "DescribeDBInstances", 2, {"dBInstanceIdentifier": "$word-db"}),
    Call(
        "rds",
        "ModifyDBInstance",
        0.2,
        {"dBInstanceIdentifier": "$word-db", "masterUserPassword": "****", "applyImmediately": True},
        {
            "dBInstanceIdentifier": "$word-db",
            "engine": "postgres",
            "dBInstanceStatus": "available",
            "pendingModifiedValues": {"masterUserPassword": "****"},
            "endpoint": {"address": "$word-db.$hex.$region.rds.amazonaws.com", "port": 5432},
        },
        PERSON,
    ),
    Call("ecr", "GetAuthorizationToken", 2, {}),
    Call(
        "ecr",
        "BatchGetImage",
        2,
        {
            "repositoryName": "shop/$word",
            "imageIds": [{"imageTag": "build-$number"}],
            "acceptedMediaTypes": ["application/vnd.oci.image.manifest.v1+json"],
        },
        None,
        ANYONE,
        {"resources": [{"accountId": "$account", "ARN": "arn:aws:ecr:$region:$account:repository/shop/$word"}]},
    ),
    Call(
        "ecs",
        "DescribeTasks",
        2,
        {"cluster": "prod_$word", "tasks": ["arn:aws:ecs:$region:$account:task/prod_$word/$guid2"]},
    ),
    Call(
        "ecs",
        "ExecuteCommand",
        0.05,
        {"cluster": "prod_$word", "container": "app", "task": "$guid2", "command": "/bin/sh", "interactive": True},
        {
            "clusterArn": "arn:aws:ecs:$region:$account:cluster/prod_$word",
            "containerName": "app",
            "interactive": True,
            "session": {
                "sessionId": "ecs-execute-command-$hex$hex2$hex3",
                "streamUrl": "wss://ssmmessages.$region.amazonaws.com/v1/data-channel/ecs-execute-command-$hex$hex2$hex3?role=publish_subscribe",
                "tokenValue": HIDDEN,
            },
        },
        PERSON,
    ),
    Call(
        "athena",
        "StartQueryExecution",
        0.5,
        {"queryString": "***OMITTED***", "workGroup": "primary", "clientRequestToken": "$guid2"},
        {"queryExecutionId": "$guid3"},
        PERSON,
    ),
    Call(
        "athena",
        "StartSession",
        0.04,
        {"workGroup": "spark", "engineConfiguration": {"maxConcurrentDpus": 20}},
        {"sessionId": "$guid2", "state": "CREATED"},
        PERSON,
    ),
    Call("athena", "TerminateSession", 0.03, {"sessionId": "$guid2"}, {"state": "TERMINATING"}, PERSON),
    Call(
        "cloudtrail",
        "LookupEvents",
        0.5,
        {"lookupAttributes": [{"attributeKey": "EventName", "attributeValue": "$eventname"}], "maxResults": 50},
        None,
        PERSON,
    ),
    Call(
        "ec2-instance-connect",
        "SendSSHPublicKey",
        0.05,
        {
            "instanceId": "$instance",
            "instanceOSUser": "ec2-user",
            "sSHPublicKey": "ssh-ed25519 AAAA$token $person@host",
        },
        {"requestId": "$guid2", "success": True},
        PERSON,
    ),
    Call("signin", "ConsoleLogin", 0.3, None, {"ConsoleLogin": "Success"}, ("user", "root", "sso"), SIGN_IN),
    Call(
        "sso",
        "Federate",
        0.2,
        None,
        None,
        ("center",),
        {
            "eventType": "AwsServiceEvent",
            "serviceEventDetails": {"role_name": "AdministratorAccess", "account_id": "$account"},
        },
    ),
    Call("sso", "ListAccounts", 0.3, {"maxResults": 100}, None, ("center",)),
)
