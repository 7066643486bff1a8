"""Routes of what all practices share, below /api/v1/."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path

from itsm.api.routes import route
from itsm.api.views.account import MeView, TokensView, TokenView
from itsm.api.views.calendar_addresses import CalendarAddressesView, CalendarAddressView
from itsm.api.views.directory import DIRECTORY
from itsm.api.views.document import docs, schema
from itsm.api.views.escalation import PoliciesView, PolicyView
from itsm.api.views.events import EventsView
from itsm.api.views.message_templates import TEMPLATES
from itsm.api.views.notifications import (
    NotificationsView,
    PreferencesView,
    ReadAllNotificationsView,
    ReadNotificationView,
)
from itsm.api.views.nowhere import NowhereView
from itsm.api.views.oncall import (
    ImportView,
    NowView,
    OverridesView,
    OverrideView,
    SchedulesView,
    ScheduleView,
    ShiftsView,
)
from itsm.api.views.service_levels import ServiceLevelReportView
from itsm.api.views.sla_calendars import CALENDARS
from itsm.api.views.sla_policies import POLICIES
from itsm.api.views.webhooks import WEBHOOKS

urlpatterns: list[URLPattern] = [
    *route("events/", EventsView, "events"),
    *route("me/", MeView, "me"),
    *route("me/notifications/", NotificationsView, "notifications"),
    *route("me/notifications/read/", ReadAllNotificationsView, "notifications-read-all"),
    *route("me/notifications/<str:key>/read/", ReadNotificationView, "notification-read"),
    *route("me/notification-preferences/", PreferencesView, "notification-preferences"),
    *route("me/calendar-addresses/", CalendarAddressesView, "calendar-addresses"),
    *route("me/calendar-addresses/<str:key>/", CalendarAddressView, "calendar-address"),
    *route("tokens/", TokensView, "tokens"),
    *route("tokens/<str:key>/", TokenView, "token"),
    *(
        pattern
        for plural, (many, one) in DIRECTORY.items()
        for pattern in (*route(f"{plural}/", many, plural), *route(f"{plural}/<str:key>/", one, f"{plural}-one"))
    ),
    *route("on-call-schedules/", SchedulesView, "on-call-schedules"),
    *route("on-call-schedules/<str:key>/", ScheduleView, "on-call-schedule"),
    *route("on-call-schedules/<str:key>/shifts/", ShiftsView, "on-call-shifts"),
    *route("on-call-schedules/<str:key>/now/", NowView, "on-call-now"),
    *route("on-call-schedules/<str:key>/overrides/", OverridesView, "on-call-overrides"),
    *route("on-call-schedules/<str:key>/overrides/<str:override>/", OverrideView, "on-call-override"),
    *route("on-call-schedules/<str:key>/import/", ImportView, "on-call-import"),
    *route("escalation-policies/", PoliciesView, "escalation-policies"),
    *route("escalation-policies/<str:key>/", PolicyView, "escalation-policy"),
    *(
        pattern
        for address, view in (*CALENDARS.items(), *POLICIES.items(), *WEBHOOKS.items(), *TEMPLATES.items())
        for pattern in route(f"{address}/", view, address.replace("/<str:key>", "-one").replace("/", "-"))
    ),
    *route("reports/service-levels/", ServiceLevelReportView, "report-service-levels"),
    path("schema/", schema, name="api-schema"),
    path("schema", schema),
    path("docs/", docs, name="api-docs"),
    path("docs", docs),
]

#: Last of all: whatever else is asked for below /api/v1/ gets a problem and not a page.
nowhere: list[URLPattern] = [re_path(r"^.*$", NowhereView.as_view(), name="api-nowhere")]
