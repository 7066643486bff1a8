"""The routes of /api/v1, each practice's beside the shared ones."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
