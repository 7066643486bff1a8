"""From whatever a view raises to a problem: refusals of commands, DRF's own errors, and what went wrong below."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, IntegrityError
from django.http import Http404, HttpRequest, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from rest_framework import exceptions as drf
from rest_framework.response import Response

from itsm.doors.problems import BUSY, RETRY_AFTER, SENTENCES, domain_problem, is_outage, problem_body
from itsm.kernel.errors import DomainError, FieldProblem

logger = logging.getLogger(__name__)

_CODES = {
    drf.NotAuthenticated: "not_authenticated",
    drf.MethodNotAllowed: "method_not_allowed",
    drf.UnsupportedMediaType: "unsupported_media_type",
    drf.NotFound: "not_found",
}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """The answer to any exception of a view; also tells the tenant middleware about a refusal worth recording."""
    request: HttpRequest = context["request"]._request
    headers: dict[str, str] = {}
    if isinstance(error, DomainError):
        request.refusal = error  # type: ignore[attr-defined]
        body = domain_problem(request, error)
        if wait := getattr(error, "wait", None):
            headers["Retry-After"] = str(wait)
    elif isinstance(error, drf.APIException):
        body = _drf_problem(request, error)
        if challenge := getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = challenge
    else:
        body = _other_problem(request, error)
        if body["status"] == 503:
            headers["Retry-After"] = str(RETRY_AFTER)
    return Response(body, status=body["status"], headers=headers, content_type="application/problem+json")


def _drf_problem(request: HttpRequest, error: drf.APIException) -> dict[str, Any]:
    status = error.status_code
    if isinstance(error, drf.ValidationError):
        found = list(_flatten(error.get_full_details(), ""))
        return problem_body(request, 400, "invalid", "The request has invalid fields.", errors=found)
    code = next((name for kind, name in _CODES.items() if isinstance(error, kind)), None)
    detail = str(error.detail)
    if isinstance(error, drf.UnsupportedMediaType):
        detail = "Send the body as application/json (files as multipart/form-data)."
    elif isinstance(error, drf.ParseError):
        code, detail = "malformed_body", "The body cannot be read. Send it as its Content-Type says."
    elif isinstance(error, drf.MethodNotAllowed):
        detail = f"{(request.method or '')[:20]} is not possible here."
    return problem_body(request, status, code or str(error.get_codes()), detail)


def _flatten(found: Any, where: str) -> Any:
    if isinstance(found, dict) and set(found) == {"message", "code"} and isinstance(found["code"], str):
        yield FieldProblem(where, found["code"], str(found["message"]))
    elif isinstance(found, dict):
        for name, inner in found.items():
            step = "" if name == "non_field_errors" else f"/{str(name).replace('~', '~0').replace('/', '~1')}"
            yield from _flatten(inner, where + step)
    elif isinstance(found, list):
        for inner in found:
            yield from _flatten(inner, where)


def _other_problem(request: HttpRequest, error: Exception) -> dict[str, Any]:
    if isinstance(error, Http404):
        return problem_body(request, 404, "not_found", SENTENCES[404])
    if isinstance(error, PermissionDenied):
        return problem_body(request, 403, "forbidden", SENTENCES[403])
    if isinstance(error, RequestDataTooBig):
        return problem_body(request, 413, "too_large", SENTENCES[413])
    if isinstance(error, SuspiciousOperation | UnreadablePostError | MultiPartParserError):
        return problem_body(request, 400, "malformed_request", SENTENCES[400])
    if isinstance(error, DataError):
        logger.warning("the database cannot take a value", exc_info=error)
        return problem_body(request, 400, "invalid", "The request holds a value that cannot be stored or compared.")
    if isinstance(error, IntegrityError):
        logger.warning("a constraint refused a write", exc_info=error)
        return problem_body(request, 409, "conflict", "Somebody changed the same thing at the same moment. Try again.")
    if is_outage(error):
        logger.warning("the database did not answer in time", exc_info=error)
        return problem_body(request, 503, "busy", BUSY)
    logger.error("unexpected error in the API", exc_info=error)
    return problem_body(request, 500, "internal_error", SENTENCES[500])
