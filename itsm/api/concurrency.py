"""ETag and If-Match: nobody overwrites what he has not seen."""

from __future__ import annotations

import re

from rest_framework.request import Request
from rest_framework.response import Response

from itsm.kernel.errors import DomainError, FieldProblem, Invalid

_ETAG = re.compile(r'\A"([0-9]{1,10})"\Z')


class PreconditionRequired(DomainError):
    """A change of state came without the version that it is based on."""

    code = "precondition_required"

    def __init__(self) -> None:
        super().__init__('Send If-Match with the ETag that you read, such as If-Match: "3".')


def etag(version: int) -> str:
    """The entity tag of a version."""
    return f'"{version}"'


def expected_version(request: Request, *, required: bool = True) -> int | None:
    """The version in If-Match; None for ``*`` (whatever is there). Raises PreconditionRequired or Invalid."""
    value = request.headers.get("If-Match")
    if value is None:
        if required:
            raise PreconditionRequired
        return None
    if value.strip() == "*":
        return None
    if match := _ETAG.match(value.strip()):
        return int(match.group(1))
    detail = 'If-Match must be one ETag as this API sends it, such as "3".'
    raise Invalid([FieldProblem("!If-Match", "malformed_etag", detail)], detail)


def tagged(response: Response, version: int) -> Response:
    """The response with its ETag."""
    response["ETag"] = etag(version)
    return response
