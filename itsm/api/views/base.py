"""What every view of the API does around its own few lines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, cast

from django.http import HttpResponseBase
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from itsm.access.limits import Allowance, refuse_spent
from itsm.api import idempotency, throttling
from itsm.api.authentication import ActorAuthentication
from itsm.api.exceptions import exception_handler
from itsm.api.filters import bad_parameter, parameters
from itsm.api.parsers import JSONParser, UploadParser
from itsm.api.renderers import JSONOnly, JSONRenderer, dumps
from itsm.api.shapes import Shape
from itsm.doors.sizes import BODY_MAX_BYTES, UPLOAD_MAX_BYTES, refuse_oversize
from itsm.kernel.actor import Actor


class Replayed(Exception):
    """Ends a repeated POST with the stored answer."""

    def __init__(self, answer: HttpResponseBase) -> None:
        super().__init__()
        self.answer = answer


class ApiView(APIView):
    """Authenticates, limits, replays, checks the query string, and answers problems."""

    authentication_classes = (ActorAuthentication,)
    permission_classes = ()
    throttle_classes = ()
    parser_classes: Sequence[type[BaseParser]] = (JSONParser,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = JSONOnly
    metadata_class = None
    http_method_names = ["get", "post", "patch", "delete", "head"]  # noqa: RUF012 - as View declares it
    #: Query parameters of GET; every other method takes none.
    query_parameters: ClassVar[Collection[str]] = ()
    #: Members of the answer that are shown once and never stored for a replay.
    shown_once: ClassVar[Collection[str]] = ()

    _attempt: idempotency.Attempt | None = None
    _allowances: list[Allowance]

    @property
    def actor(self) -> Actor:
        return cast(Actor, self.request.user)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """After authentication: count, check the query string, and end here when this POST was answered before."""
        self._allowances = []
        super().initial(request, *args, **kwargs)
        if request.method not in self.allowed_methods:
            self.http_method_not_allowed(request)
        self._allowances = throttling.take(self.actor)
        refuse_spent(self._allowances)
        self.given = parameters(
            request.query_params, self.query_parameters if request.method in {"GET", "HEAD"} else ()
        )
        limit = UPLOAD_MAX_BYTES if UploadParser in self.parser_classes else BODY_MAX_BYTES
        refuse_oversize(request._request, limit)
        if request.method == "POST":
            self._attempt = idempotency.begin(request, self.actor)
            if self._attempt is not None and self._attempt.answer is not None:
                raise Replayed(self._attempt.answer)

    def handle_exception(self, exc: Exception) -> HttpResponseBase:  # type: ignore[override]
        if isinstance(exc, Replayed):
            return exc.answer
        return super().handle_exception(exc)

    def get_exception_handler(self) -> Any:
        return exception_handler

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Store the answer of a first POST; add the headers that every answer has."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if self._attempt is not None and self._attempt.answer is None and response.status_code < 400:
            kept = response.data
            if self.shown_once and isinstance(kept, Mapping):
                kept = {name: None if name in self.shown_once else value for name, value in kept.items()}
            self._attempt.store(self.actor, response, b"" if kept is None else dumps(kept))
        for name, value in throttling.headers(getattr(self, "_allowances", [])).items():
            response[name] = value
        response.setdefault("Cache-Control", "no-store")
        return response

    def body(self, shape: type[Shape], *, partial: bool = False) -> dict[str, Any]:
        """The body in this shape. Raises DRF's ValidationError, which becomes a problem with pointers."""
        read = shape(data=self.request.data, partial=partial)
        read.is_valid(raise_exception=True)
        return dict(read.validated_data)


__all__ = ["ApiView", "Response", "bad_parameter"]
