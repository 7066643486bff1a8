"""The OpenAPI document and the page that shows it. Both work offline and without signing in."""

from __future__ import annotations

from functools import lru_cache

import orjson
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator


@lru_cache(maxsize=1)
def document() -> bytes:
    """The document as JSON. It depends on the code alone, so it is made once per process."""
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    return orjson.dumps(generator.get_schema(public=True), default=str)  # type: ignore[no-untyped-call]


@require_safe
def schema(_request: HttpRequest) -> HttpResponse:
    """GET /api/v1/schema/"""
    return HttpResponse(document(), content_type="application/json")


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """GET /api/v1/docs/"""
    beside = request.path.rstrip("/").removesuffix("docs")
    return render(request, "itsm/api/docs.html", {"schema": f"{beside}schema/"})
