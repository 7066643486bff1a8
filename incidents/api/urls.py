"""Routes of incidents below /api/v1/."""

from __future__ import annotations

from django.urls import URLPattern

from incidents.api import major
from incidents.api.views import VERBS, FollowUpView, IncidentsView, IncidentView
from incidents.flow import KIND
from itsm.api.routes import route, ticket_routes

urlpatterns: list[URLPattern] = [
    *route("incidents/", IncidentsView, "incidents"),
    *route("incidents/<str:key>/", IncidentView, "incident"),
    *(
        pattern
        for name, view in (VERBS | major.VERBS).items()
        for pattern in route(f"incidents/<str:key>/{name}/", view, f"incident-{name}")
    ),
    *route("incidents/<str:key>/follow-up/", FollowUpView, "incident-follow-up"),
    *route("incidents/<str:key>/major/updates/", major.MajorUpdatesView, "incident-major-updates"),
    *route("incidents/<str:key>/major/roles/", major.MajorRolesView, "incident-major-roles"),
    *route("incidents/<str:key>/major/review/", major.MajorReviewView, "incident-major-review"),
    *ticket_routes("incidents", KIND),
]
