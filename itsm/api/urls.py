"""Routes of what all practices share, below /api/v1/."""

from __future__ import annotations

from django.urls import URLPattern, re_path

from itsm.api.views.nowhere import NowhereView

urlpatterns: list[URLPattern] = []

#: Last of all: whatever else is asked for below /api/v1/ gets a problem and not a page.
nowhere: list[URLPattern] = [re_path(r"^.*$", NowhereView.as_view(), name="api-nowhere")]
