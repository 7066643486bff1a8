"""The routes of /api/v1, each practice's beside the shared ones."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from itsm.api.urls import nowhere

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("incidents.api.urls")),
    path("", include("incidents.api.report")),
    path("", include("itsm.api.urls")),
    *nowhere,
]
