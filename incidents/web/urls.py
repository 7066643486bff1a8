"""Addresses of incidents, by their human number."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, register_converter

from incidents.web import views


class NumberConverter:
    """A human number such as INC0001001, whatever prefix the tenant gave it."""

    regex = "[A-Za-z][A-Za-z0-9-]{0,7}[0-9]{1,20}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(NumberConverter, "number")

urlpatterns: list[URLPattern | URLResolver] = [
    path("new/", views.new, name="incident-new"),
    path("mine/", views.mine, name="my-requests"),
    path("<number:number>/", views.incident, name="incident"),
    path("<number:number>/files/<uuid:file_id>/", views.download, name="incident-file"),
    path("<number:number>/<slug:name>/", views.act, name="incident-act"),
]
