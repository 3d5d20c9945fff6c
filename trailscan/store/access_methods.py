"""The one table of doors: every call that opens a way to a shell or a command on a machine, or belongs to one.

All that trailscan knows of such a call follows from its row here: which machines it names, what its success means, which
calls make up one row of `all_doors`. `door_macros` turns the table into SQL, in which `request` is requestParameters, and
`asked` and `answered` are requestParameters and responseElements as parse_macros.sql reads them. Sources: the API references
of AWS Systems Manager, ECS, EC2 Instance Connect, SageMaker, Lightsail and EKS; AWS, "Logging AWS CloudShell API calls".
"""

from typing import Literal

import msgspec

Role = Literal["opens", "resumes", "ends", "channel", "collects"]
Success = Literal["opened", "accepted", "unknown"]

_RUNS = "'run document ' || document_name({})"
_DOCUMENT, _NAME = "json_extract_string(request, '$.documentName')", "json_extract_string(request, '$.name')"


class Door(msgspec.Struct, frozen=True):
    """One call, by its service and event name; of several places the first that is there counts."""

    service: str  # eventSource without .amazonaws.com
    name: str
    success: Success  # what it means that AWS answered without an error
    targets: tuple[str, ...] = ()  # where the machine stands: SQL over asked, answered, request
    lists: str = ""  # where it may be several: SQL for a list
    also: tuple[str, ...] = ()  # further names of the machine: SQL over asked and answered
    session: tuple[str, ...] = ()  # where the session's id stands: SQL over asked and answered
    kind: str = ""  # calls of one kind and session id are one row; without it the call's own name
    role: Role = "opens"
    machine: str | None = None  # target_kind, where the target itself does not tell
    purpose: str = "NULL"  # SQL over request
    document: str | None = None  # SQL: it is a door only where this document runs commands
    silent: bool = False  # Session Manager cannot keep a transcript of what passes through

    @property
    def source(self) -> str:
        """The eventSource."""
        return f"{self.service}.amazonaws.com"

    @property
    def group(self) -> str:
        """What `door_kind` says."""
        return self.kind or self.name


_OWN_ID = ("answered.sessionId", "asked.sessionId")
_LISTED = "listed_targets(asked, answered)"
_CHANNEL_ID = (
    "asked.sessionId",
    "answered.sessionId",
    "nullif(regexp_extract(answered.streamUrl, '/data-channel/([^/?]+)', 1), '')",
)
_ENVIRONMENT = ("asked.environmentId", "request ->> '$.EnvironmentId'", "answered.environmentId")
_ACCESS_ID = ("answered.accessRequestId", "asked.accessRequestId")

DOORS = (
    Door("ssm", "StartSession", "opened", ("asked.target",), session=_OWN_ID, kind="session",
         purpose="purpose_of_session(request)"),
    Door("ssm", "ResumeSession", "opened", session=_OWN_ID, kind="session", role="resumes"),
    Door("ssm", "TerminateSession", "unknown", session=_OWN_ID, kind="session", role="ends"),
    *(
        Door(service, name, "unknown", session=_CHANNEL_ID, kind="session", role="channel")
        for service in ("ssmmessages", "ssm")
        for name in ("CreateDataChannel", "OpenDataChannel")
    ),
    Door("ssm", "SendCommand", "accepted", lists=_LISTED, purpose=_RUNS.format(_DOCUMENT)),
    Door(
        "ssm", "StartAutomationExecution", "accepted", lists=_LISTED, document=_DOCUMENT,
        purpose="'automation ' || document_name(json_extract_string(request, '$.documentName'))",
    ),
    *(
        Door("ssm", name, "accepted", lists=_LISTED, document=_NAME,
             purpose="'association with document ' || document_name(json_extract_string(request, '$.name'))")
        for name in ("CreateAssociation", "UpdateAssociation")
    ),
    Door("ssm", "CreateAssociationBatch", "accepted", lists=_LISTED, purpose="'associations'"),
    Door(
        "ssm", "StartAccessRequest", "accepted", lists=_LISTED, session=_ACCESS_ID, kind="access-request",
        purpose="'request for access'",
    ),
    Door("ssm", "GetAccessToken", "accepted", session=_ACCESS_ID, kind="access-request", role="collects"),
    Door(
        "ssm-guiconnect", "StartConnection", "opened", ("request ->> '$.InstanceId'", "asked.instanceId"),
        purpose="lower(coalesce(json_extract_string(request, '$.Protocol'), 'rdp'))",
    ),
    Door(
        "ecs", "ExecuteCommand", "opened", ("asked.task",), machine="ecs", session=("answered.session.sessionId",),
        also=("answered.taskArn",), purpose="'command: ' || json_extract_string(request, '$.command')",
    ),
    Door(
        "ec2-instance-connect", "SendSSHPublicKey", "accepted", ("asked.instanceId",), silent=True,
        purpose="'ssh key' || coalesce(' for ' || json_extract_string(request, '$.instanceOSUser'), '')",
    ),
    Door(
        "ec2-instance-connect", "SendSerialConsoleSSHPublicKey", "accepted", ("asked.instanceId",), silent=True,
        purpose="'serial console key' || coalesce(' for port ' || json_extract_string(request, '$.serialPort'), '')",
    ),
    Door(
        "ec2-instance-connect", "OpenTunnel", "opened",
        ("asked.instanceId", "asked.privateIpAddress", "asked.instanceConnectEndpointId"),
        also=("asked.privateIpAddress", "asked.instanceConnectEndpointId"), machine="ec2", silent=True,
        purpose="'tunnel' || coalesce(' to port ' || json_extract_string(request, '$.remotePort'), '')",
    ),
    Door(
        "cloudshell", "CreateSession", "opened", _ENVIRONMENT, machine="cloudshell",
        session=("answered.sessionId",), purpose="'CloudShell'",
    ),
    *(
        Door("cloudshell", name, "accepted", _ENVIRONMENT, machine="cloudshell",
             purpose=f"'CloudShell: {words}'")
        for name, words in (("CreateEnvironment", "environment made"), ("StartEnvironment", "environment started"))
    ),
    Door(
        "sagemaker", "StartSession", "opened", ("asked.resourceIdentifier",), machine="sagemaker",
        session=("answered.sessionId",), purpose="'SageMaker session'",
    ),
    Door(
        "sagemaker", "CreatePresignedNotebookInstanceUrl", "accepted", ("asked.notebookInstanceName",), machine="sagemaker",
        purpose="'notebook by signed URL'", silent=True,
    ),
    Door(
        "sagemaker", "CreatePresignedDomainUrl", "accepted", ("asked.spaceName", "asked.userProfileName", "asked.domainId"),
        also=("asked.domainId", "asked.userProfileName"), machine="sagemaker",
        purpose="'Studio by signed URL'", silent=True,
    ),
    Door(
        "lightsail", "GetInstanceAccessDetails", "accepted", ("asked.instanceName",), machine="lightsail", silent=True,
        purpose="'access details' || coalesce(' for ' || json_extract_string(request, '$.protocol'), '')",
    ),
    Door("eks", "AccessKubernetesApi", "accepted", ("asked.name", "asked.clusterName"), machine="eks",
         purpose="'Kubernetes API'"),
)  # fmt: skip

# No doors, and yet they name a machine: who asks whether one can be reached is about to.
LOOKS = (Door("ssm", "GetConnectionStatus", "unknown", ("asked.target",)),)

GROUPED = ("session", "access-request")  # kinds whose calls go together by their id; every other call is a row of its own
STEPS: dict[Role, int] = {"opens": 0, "channel": 1, "resumes": 2, "collects": 2, "ends": 3}  # within one second
