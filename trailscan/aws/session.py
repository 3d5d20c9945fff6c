"""Who we are to AWS, and what its errors mean: boto3 finds credentials, profiles, regions and endpoints.

Its errors become ours here, each with what was being done; credentials never become part of a message.
"""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from trailscan.errors import CredentialsError, NotReachable, SourceError, UsageError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CREDENTIAL_LIFE = timedelta(minutes=5)  # after which botocore is asked again; it renews what is about to expire
_REFUSED = re.compile(
    "ExpiredToken|ExpiredTokenException|RequestExpired|TokenRefreshRequired|InvalidToken|InvalidAccessKeyId|"
    "SignatureDoesNotMatch|UnrecognizedClientException|InvalidClientTokenId"
)
_CODE = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
READ_S3 = "s3:ListBucket and s3:GetObject, and kms:Decrypt for a bucket encrypted with a key"


class Access(msgspec.Struct, frozen=True):
    """How to reach a bucket or a service; what is None is boto3's to find."""

    profile: str | None = None
    role_arn: str | None = None
    endpoint_url: str | None = None
    sign: bool = True
    request_payer: bool = False


def open_session(access: Access) -> Any:  # noqa: ANN401 - boto3.Session, which is imported at this door only
    """A boto3 session, with a role assumed where one is asked for."""
    import boto3

    session = boto3.Session(profile_name=access.profile)
    if access.role_arn is not None:
        session = boto3.Session(botocore_session=_with_role(session, access.role_arn), region_name=session.region_name)
    return session


def _with_role(session: Any, role_arn: str) -> Any:  # noqa: ANN401 - botocore has no types of its own
    """A session whose credentials are a role's, renewed by botocore before they expire."""
    import botocore.session
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    region = session.region_name or os.environ.get("AWS_REGION") or "us-east-1"
    source = session.get_credentials()
    if source is None:
        raise CredentialsError("there are no AWS credentials to assume the role with", "name some with --profile")
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=partial(session._session.create_client, region_name=region),  # noqa: SLF001 - as botocore's own profiles do it
        source_credentials=source,
        role_arn=role_arn,
        extra_args={"RoleSessionName": "trailscan"},
    )
    assumed: Any = botocore.session.Session()
    assumed._credentials = DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)  # noqa: SLF001
    return assumed


def open_s3(session: Any, access: Access, region: str | None) -> "S3Client":  # noqa: ANN401
    """A client of S3; `region` None is the session's own."""
    from botocore import UNSIGNED
    from botocore.config import Config

    config = Config(
        signature_version=None if access.sign else UNSIGNED,
        retries={"mode": "standard", "total_max_attempts": 6},
        connect_timeout=10,
        read_timeout=20,
        max_pool_connections=32,
        s3={"addressing_style": "path"} if access.endpoint_url else None,
    )
    client: S3Client = session.client("s3", region_name=region, endpoint_url=access.endpoint_url, config=config)
    return client


def credentials_of(session: Any) -> Callable[[], Any]:  # noqa: ANN401
    """A provider that asks botocore each time obstore needs to know."""
    credentials = session.get_credentials()
    if credentials is None:
        raise CredentialsError(
            "there are no AWS credentials", "set a profile with --profile, or --no-sign-request if the bucket is public"
        )

    def provide() -> dict[str, Any]:
        now = credentials.get_frozen_credentials()
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": datetime.now(UTC) + _CREDENTIAL_LIFE,
        }

    return provide


class Translated:
    """Turns botocore's errors into ours, each with what was being done; `needs` is the permission that it takes."""

    def __init__(self, where: str, needs: str = READ_S3) -> None:
        self.where = where
        self.needs = needs

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None and type(error).__module__.partition(".")[0] in {"botocore", "boto3", "obstore"}:
            raise_ours(error, self.where, self.needs)


def raise_ours(error: BaseException, where: str, needs: str = READ_S3) -> NoReturn:
    """Raise the error that one of boto3's or obstore's stands for."""
    from botocore import exceptions as boto

    text = short(error)
    if isinstance(error, boto.ProfileNotFound):
        raise UsageError(text, "`aws configure list-profiles` shows which there are") from error
    if isinstance(error, boto.ParamValidationError):
        raise UsageError(f"{where} is not a bucket or key that S3 could have", "write s3://bucket/prefix") from error
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError, boto.SSOError)):
        raise CredentialsError(
            f"no usable AWS credentials: {text}", "set a profile with --profile, or --no-sign-request"
        ) from error
    if isinstance(error, (boto.ConnectionError, boto.HTTPClientError)):
        raise NotReachable(f"{where} cannot be reached: {text}", "check the network, the region and --endpoint-url") from error
    code = code_of(error)
    if is_refused(code):
        raise CredentialsError(
            f"AWS does not accept the credentials ({code}): {text}", "renew them and run the same again"
        ) from error
    if code in {"AccessDenied", "403", "AllAccessDisabled", "AccessDeniedException"}:
        raise CredentialsError(f"no permission for {where} ({code})", f"it takes {needs}") from error
    if code in {"NoSuchBucket", "404"}:
        raise SourceError(f"{where}: there is no such bucket", "check the name and --profile") from error
    raise SourceError(f"{where}: {text}") from error


def is_refused(code: str) -> bool:
    """Whether an error code says that AWS does not accept who we are, now or at all."""
    return _REFUSED.fullmatch(code) is not None


def code_of(error: BaseException) -> str:
    """AWS's code for an error, or an empty text."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    found = _CODE.search(str(error))
    return found[1] if found else ""


def short(error: BaseException) -> str:
    """The sentence that tells a person most: S3's own message, else the first line."""
    found = _MESSAGE.search(str(error))
    return found[1] if found else str(error).partition("\n")[0][:300]
