"""Writing bodies: JSON by orjson, times as RFC 3339 in UTC."""

from __future__ import annotations

from typing import Any

import orjson
from django.utils.functional import Promise
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


def dumps(data: Any) -> bytes:
    """JSON as the API writes it; UUIDs, aware datetimes and translated texts included."""
    return orjson.dumps(data, default=_plain, option=orjson.OPT_UTC_Z)


def _plain(value: Any) -> Any:
    if isinstance(value, Promise):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


class JSONRenderer(BaseRenderer):
    """The only renderer: the API answers JSON, whatever ``Accept`` says."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else dumps(data)


class JSONOnly(BaseContentNegotiation):
    """Takes the parser that the Content-Type names and always the first renderer."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == kind), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type
