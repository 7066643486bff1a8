"""Routes of what all practices share, below /api/v1/."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path

from itsm.api.routes import route
from itsm.api.views.account import MeView, TokensView, TokenView
from itsm.api.views.directory import DIRECTORY
from itsm.api.views.document import docs, schema
from itsm.api.views.events import EventsView
from itsm.api.views.nowhere import NowhereView
from itsm.api.views.sla_calendars import CALENDARS
from itsm.api.views.sla_policies import POLICIES

urlpatterns: list[URLPattern] = [
    *route("events/", EventsView, "events"),
    *route("me/", MeView, "me"),
    *route("tokens/", TokensView, "tokens"),
    *route("tokens/<str:key>/", TokenView, "token"),
    *(
        pattern
        for plural, (many, one) in DIRECTORY.items()
        for pattern in (*route(f"{plural}/", many, plural), *route(f"{plural}/<str:key>/", one, f"{plural}-one"))
    ),
    *(
        pattern
        for address, view in (*CALENDARS.items(), *POLICIES.items())
        for pattern in route(f"{address}/", view, address.replace("/<str:key>", "-one").replace("/", "-"))
    ),
    path("schema/", schema, name="api-schema"),
    path("schema", schema),
    path("docs/", docs, name="api-docs"),
    path("docs", docs),
]

#: Last of all: whatever else is asked for below /api/v1/ gets a problem and not a page.
nowhere: list[URLPattern] = [re_path(r"^.*$", NowhereView.as_view(), name="api-nowhere")]
