"""Addresses of incidents, by their human number."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from incidents.web import major, views

urlpatterns: list[URLPattern | URLResolver] = [
    path("new/", views.new, name="incident-new"),
    path("mine/", views.mine, name="my-requests"),
    path("major/", major.list_of_majors, name="major-incidents"),
    path("<number:number>/", views.incident, name="incident"),
    path("<number:number>/files/<uuid:file_id>/", views.download, name="incident-file"),
    path("<number:number>/<slug:name>/", views.act, name="incident-act"),
]
