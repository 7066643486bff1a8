"""Problems (RFC 9457): the one shape of every error answer of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from itsm.access.limits import TooManyRequests
from itsm.doors.sizes import TooLarge
from itsm.kernel.errors import (
    Conflict,
    DomainError,
    FieldProblem,
    Forbidden,
    IllegalTransition,
    Invalid,
    NotFound,
    PolicyViolation,
    TooManyCauses,
)

#: Which status a refusal becomes on the wire; a room above adds its own with register_status().
STATUS: dict[type[DomainError], int] = {
    NotFound: 404,
    Forbidden: 403,
    Conflict: 412,
    IllegalTransition: 409,
    PolicyViolation: 422,
    Invalid: 400,
    TooManyCauses: 409,
    TooLarge: 413,
    TooManyRequests: 429,
}


#: Seconds after which a client may try again when the database did not answer (the header Retry-After of a 503).
RETRY_AFTER = 2
BUSY = "The service is busy. Try again in a moment."
#: What happened and what to do, for refusals that no command has worded.
SENTENCES = {
    400: "The request cannot be read. Check its address, its headers and its body.",
    403: "You may not do this.",
    404: "There is no such object, or you may not see it.",
    413: "The body is larger than the service reads. Send less at once.",
    500: "Something went wrong on our side. Quote the request_id.",
}


def is_outage(error: BaseException | None) -> bool:
    """Whether the database was lost or did not answer in time: a state that passes, and no fault of the request."""
    if isinstance(error, DatabaseError):
        # A session that the server ended for idling inside a transaction counts among PostgreSQL's internal errors.
        return isinstance(error, OperationalError) or getattr(error.__cause__, "sqlstate", None) == "25P03"
    return isinstance(error, InterfaceError)


def register_status(statuses: Mapping[type[DomainError], int]) -> None:
    """Say which statuses the refusals of a room become. Called when the room's app is ready, not at some import."""
    STATUS.update(statuses)


def status_of(error: DomainError) -> int:
    """The HTTP status of a refusal."""
    return STATUS.get(type(error), 400)


def problem_body(
    request: HttpRequest,
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[FieldProblem] = (),
    **extra: Any,
) -> dict[str, Any]:
    """The members of a problem: type, title, status, code, detail, request_id, and errors with JSON pointers."""
    body: dict[str, Any] = {
        "type": f"https://viable.example/problems/{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": getattr(request, "request_id", ""),
        **extra,
    }
    if errors:
        body["errors"] = [_error_member(error) for error in errors]
    return body


def _error_member(error: FieldProblem) -> dict[str, str]:
    """One entry of ``errors``: a place in the body by pointer, or (``?name``, ``!name``) a query parameter or header."""
    where = {"?": "parameter", "!": "header"}.get(error.pointer[:1])
    place = {where: error.pointer[1:]} if where else {"pointer": error.pointer}
    return {**place, "code": error.code, "detail": error.detail}


def problem_response(request: HttpRequest, status: int, code: str, detail: str, **extra: Any) -> HttpResponse:
    """A problem as a plain Django response, for what is refused before DRF is reached."""
    body = problem_body(request, status, code, detail, **extra)
    return HttpResponse(orjson.dumps(body), status=status, content_type="application/problem+json")


def domain_problem(request: HttpRequest, error: DomainError) -> dict[str, Any]:
    """The problem that a refusal becomes; violations name the policy and its owner."""
    extra: dict[str, Any] = {}
    if isinstance(error, PolicyViolation):
        extra["violations"] = [
            {"policy": v.policy, "owner": v.owner, "reason": v.reason, "remedy": v.remedy} for v in error.violations
        ]
    if isinstance(error, (IllegalTransition, Conflict, Forbidden)):
        extra.update({k: v for k, v in error.context.items() if k != "ticket"})
    return problem_body(
        request,
        status_of(error),
        error.code,
        error.detail,
        errors=error.problems if isinstance(error, Invalid) else (),
        **extra,
    )
