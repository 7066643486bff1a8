"""Who calls the API. The tenant middleware has found out already; this door only insists on it and guards the browser."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.request import Request

from itsm.kernel.actor import Actor, ActorKind


class ActorAuthentication(BaseAuthentication):
    """The actor of the request: behind a bearer token, or behind the browser's session with its CSRF token."""

    def authenticate(self, request: Request) -> tuple[Actor, None]:
        """Raise NotAuthenticated without an actor, PermissionDenied for a browser's write without a CSRF token."""
        actor: Actor | None = getattr(request._request, "actor", None)
        if actor is None:
            raise NotAuthenticated(
                "Send a valid token (Authorization: Bearer vbl_…) or use the address /t/<tenant>/api/v1/."
            )
        if actor.kind is not ActorKind.TOKEN:
            _demand_csrf(request._request)
        return actor, None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="viable"'


class _CsrfCheck(CsrfViewMiddleware):
    """Answers the reason instead of a page."""

    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def _demand_csrf(request: HttpRequest) -> None:
    check = _CsrfCheck(lambda _request: HttpResponse())
    check.process_request(request)
    if reason := check.process_view(request, _no_view, (), {}):
        raise PermissionDenied(
            f"CSRF failed: {reason} Send the header X-CSRFToken, or use a token.", code="csrf_failed"
        )


def _no_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()
