"""The filters of a question, each declared once: read by the command line, the API, the scan, and what makes SQL of them.

To add a filter of texts, add one field to `Filters`. Loads no library, so that it can be read for `--help`.
"""

from datetime import datetime
from typing import Annotated, Literal, NamedTuple, get_type_hints

Kind = Literal["texts", "switch", "time", "condition"]


class Filter(NamedTuple):
    """What a filter is called and what it looks at.

    `events` are expressions over `evidence`, any of which may match; `sessions` is a list of texts over a session's row, any
    of whose members may match. `needle` says how the text stands in the bytes of each record that matches: as a `whole` string
    of JSON, as a `part` of one, or not for sure (then bytes are not searched for it).
    """

    help: str
    metavar: str = "TEXT"
    events: tuple[str, ...] = ()
    sessions: str = ""
    needle: Literal["whole", "part", ""] = ""
    kind: Kind = "texts"
    flag: str = ""  # where it is not the name with - for _

    def flag_of(self, name: str) -> str:
        """`--source-ip` for `source_ip`."""
        return self.flag or "--" + name.replace("_", "-")


Texts = tuple[str, ...]
_USER = (
    "user_name",
    "user_session_name",
    "regexp_extract(user_issuer_arn, '([^/:]+)$', 1)",
    "user_source_identity",
    "who",
)
_Event = Filter("Event name, exact in case.", "NAME", ("event_name",), "event_names::VARCHAR[]", "whole")
_Source = Filter("Service, as in ssm.amazonaws.com.", "NAME", ("event_source",), "[event_source]", "whole")
_User = Filter("User, session or role name, as a person calls it.", "NAME", _USER, "[who, starter] || names::VARCHAR[]")
_Arn = Filter("ARN of the caller or of its role.", "ARN", ("user_arn", "user_issuer_arn"), "arns::VARCHAR[]", "whole")
_Account = Filter("Account that the event was recorded for.", "ID", ("recipient_account_id",), "[account_id]")
_Region = Filter("Region of the event.", "NAME", ("aws_region",), "[region]", "whole")
# each of `targets` is looked at as well, and the bytes of commands that name no machine pass: see filters.py
_Target = Filter("Machine that a session or command was for.", "ID", ("target",), "[target] || targets::VARCHAR[]")
_Session = Filter("Session Manager session.", "ID", ("session_id",), "[session_id]", "part")  # a denied call's message names it
_Key = Filter("Access key of the caller.", "ID", ("user_access_key_id",), "access_keys::VARCHAR[]", "whole")
_Error = Filter("Error code.", "CODE", ("error_code",), "error_codes::VARCHAR[]", "whole")


class Filters(NamedTuple):
    """What a question asks for; an empty tuple does not filter. Texts may hold `*`; `source_ip` an address or a network."""

    event: Annotated[Texts, _Event] = ()
    event_source: Annotated[Texts, _Source] = ()
    user: Annotated[Texts, _User] = ()
    arn: Annotated[Texts, _Arn] = ()
    source_ip: Annotated[Texts, Filter("Source address or network.", "CIDR")] = ()
    account: Annotated[Texts, _Account] = ()
    region: Annotated[Texts, _Region] = ()
    target: Annotated[Texts, _Target] = ()
    session: Annotated[Texts, _Session] = ()
    access_key: Annotated[Texts, _Key] = ()
    error: Annotated[Texts, _Error] = ()
    failed: Annotated[
        bool | None,
        Filter("Only calls that failed, or only those that did not.", kind="switch", flag="--failed/--succeeded"),
    ] = None
    since: Annotated[datetime | None, Filter("From this time on: ISO 8601, or 7d, 12h, 30m ago.", "TIME", kind="time")] = None
    until: Annotated[datetime | None, Filter("Before this time.", "TIME", kind="time")] = None
    where: Annotated[str | None, Filter("A condition of your own over the columns of `{view}`.", "SQL", kind="condition")] = (
        None
    )


FILTERS: dict[str, Filter] = {name: hint.__metadata__[0] for name, hint in get_type_hints(Filters, include_extras=True).items()}
"""Each filter by its name, in the order of the help."""
