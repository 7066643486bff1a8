"""All addresses. Inside a tenant the same ones stand behind /t/<slug>/ or behind the tenant's own host."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from config import health
from config.observe.metrics import metrics

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz/live", health.live, name="health-live"),
    path("healthz/ready", health.ready, name="health-ready"),
    path("metrics", metrics, name="metrics"),
    path("api/v1/", include("config.api")),
    path("incidents/", include("incidents.web.urls")),
    path("reports/", include("incidents.web.report")),
    path("reports/", include("itsm.web.views.service_levels")),
    path("", include("itsm.web.urls")),
]

handler400 = "itsm.web.errors.bad_request"
handler403 = "itsm.web.errors.forbidden"
handler404 = "itsm.web.errors.not_found"
handler500 = "itsm.web.errors.broken"
