"""The OpenAPI document: 3.1, one Problem, bearer or session, strict request bodies. Written out by ``manage.py spectacular``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

from itsm.api.pagination import LIMIT_DEFAULT, LIMIT_MAX
from itsm.api.shapes import Outgoing

PROBLEM = "application/problem+json"
_READ = (400, 401, 403, 404, 429, 503)
_WRITE = (409, 413, 415, 422)
_GUARDED = (412, 428)


class ProblemErrorOut(Outgoing):
    """One thing that is wrong: a place in the body (JSON pointer), a query parameter or a header."""

    pointer = serializers.CharField(required=False)
    parameter = serializers.CharField(required=False)
    header = serializers.CharField(required=False)
    code = serializers.CharField()
    detail = serializers.CharField()


class ViolationOut(Outgoing):
    """A policy that refuses: its key, its owner, why it exists, and what would satisfy it."""

    policy = serializers.CharField()
    owner = serializers.CharField()
    reason = serializers.CharField()
    remedy = serializers.CharField()


class Problem(Outgoing):
    """Every error answer (RFC 9457). ``code`` is stable; ``detail`` is for people. Further members depend on the code."""

    type = serializers.URLField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    request_id = serializers.CharField()
    errors = ProblemErrorOut(many=True, required=False)  # type: ignore[assignment]  # DRF collects fields
    violations = ViolationOut(many=True, required=False)
    permission = serializers.CharField(required=False, help_text="The right that is missing.")
    allowed = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="The verbs that are possible now."
    )
    current = serializers.IntegerField(required=False, help_text="The version of the object now.")
    expected = serializers.IntegerField(required=False, help_text="The version that If-Match named.")


def query(name: str, text: str, *, kind: Any = OpenApiTypes.STR, **more: Any) -> OpenApiParameter:
    """A query parameter of a list."""
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=text, **more)


PAGE_QUERY = (
    query("cursor", "From `next` or `previous` of another page."),
    query(
        "limit",
        f"Rows a page, {LIMIT_DEFAULT} unless told.",
        kind={"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
    ),
    query("count", "`true` adds `total`, counted up to 10,000.", kind=OpenApiTypes.BOOL),
)
_KEY_HEADER = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="Sent again with the same key and body, the request does nothing and gets its first answer (48 hours).",
)
_MATCH_HEADER = OpenApiParameter(
    "If-Match",
    {"type": "string", "pattern": '^"[0-9]{1,10}"$'},
    OpenApiParameter.HEADER,
    required=True,
    description="The ETag that the change is based on.",
)
_ETAG = OpenApiParameter(
    "ETag", OpenApiTypes.STR, OpenApiParameter.HEADER, description="The version.", response=[200, 201]
)


def page_of(item: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """The shape of a page of ``item``."""
    return inline_serializer(
        f"{item.__name__.removesuffix('Out')}Page",
        {
            "results": item(many=True),
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
            "total": serializers.IntegerField(required=False),
            "total_is_capped": serializers.BooleanField(required=False),
        },
    )


def operation(
    method: str,
    name: str,
    summary: str,
    *,
    tag: str,
    answer: Any = None,
    body: Any = None,
    status: int = 200,
    guarded: bool = False,
    tagged: bool = False,
    parameters: Iterable[OpenApiParameter] = (),
    media: str = "application/json",
) -> Callable[[Any], Any]:
    """Describe one operation: its own answer, and the problems that its method can end in."""
    writes = method != "GET"
    statuses = [*_READ, *(_WRITE if writes else ()), *(_GUARDED if guarded else ())]
    responses: dict[Any, Any] = {(one, PROBLEM): OpenApiResponse(Problem, _MEANING[one]) for one in sorted(statuses)}
    if status == 204:
        responses[204] = OpenApiResponse(description="Done; there is nothing to show.")
    else:
        responses[status, media if answer is OpenApiTypes.BINARY else "application/json"] = answer
    given = [*parameters]
    if method == "POST":
        given.append(_KEY_HEADER)
    if guarded:
        given.append(_MATCH_HEADER)
    if tagged:
        given.append(_ETAG)
    return extend_schema(
        operation_id=name,
        summary=summary,
        tags=[tag],
        request=body,
        responses=responses,
        parameters=given,
        methods=[method],
    )


_MEANING: Mapping[int, str] = {
    400: "Something in the body, the query or a header cannot be used; `errors` says where.",
    401: "No valid token and no session.",
    403: "You see it and may not do this; `permission` names the missing right.",
    404: "There is no such object, or you may not see it.",
    409: "Its state does not allow this now, or the same request is being worked on.",
    412: "It has changed since you read it; `current` is its version now.",
    413: "The body is too large.",
    415: "The body is of another type.",
    422: "A policy refuses, or the Idempotency-Key was used for another request.",
    428: "If-Match is missing.",
    429: "The rate limit is used up; Retry-After says when to go on.",
    503: "Too busy; Retry-After says when to try again.",
}


class Bearer(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A token. (The browser's session works too, with X-CSRFToken on writes; integrations have no use for it.)"""

    target_class = "itsm.api.authentication.ActorAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> Any:
        return {"type": "http", "scheme": "bearer", "description": "A token that you made in your profile."}


class StrictBody(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Request bodies take no unknown members."""

    target_class = "itsm.api.shapes.Shape"
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> Any:
        mapped = auto_schema._map_serializer(  # type: ignore[no-untyped-call]
            self.target, direction, bypass_extensions=True
        )
        return {**mapped, "additionalProperties": False}


def only_with_slash(endpoints: list[Any]) -> list[Any]:
    """Each address also works without its last slash; the document shows it once."""
    return [endpoint for endpoint in endpoints if endpoint[0].endswith("/")]
