"""Calendars over REST: hours of work, their versions, and what a change would move."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from itsm.access.decide import authorize
from itsm.api.concurrency import expected_version, tagged
from itsm.api.filters import yes_or_no
from itsm.api.pagination import PAGE_PARAMETERS, paginate
from itsm.api.queries import plain_id
from itsm.api.schema import PAGE_QUERY, operation, page_of, query
from itsm.api.views import sla_shapes as shapes
from itsm.api.views.base import ApiView
from itsm.kernel.errors import FieldProblem, Invalid, NotFound, Problems
from itsm.sla.calendar import Hours
from itsm.sla.calendar_file import read_hours, write_shift
from itsm.sla.commands import change_calendar, choose_calendar, create_calendar, update_calendar
from itsm.sla.commands.calendars import newest_version
from itsm.sla.models import CalendarChoice, SlaCalendar, SlaCalendarVersion
from itsm.sla.preview import preview_calendar
from itsm.sla.public_holidays import Proposal, check_country, propose, years_of
from itsm.tickets.keyset import Sort

_COLUMNS = ("id", "name", "time_zone", "is_active", "revision")
_VERSION = ("id", "version", "effective_from", "hours", "labels", "created_by_id", "created_by__name", "created_at")
_BY_NAME = Sort("name", "name", kind=str)
_NEWEST = Sort("-version", "version", down=True, id_down=True, kind=int)
_TAG = shapes.TAG
_LANGUAGE = re.compile(r"\A[a-z]{2,3}(_[A-Z]{2})?\Z")
IN_USE = query("is_active", "Only those in (or out of) use.", kind={"type": "boolean"})


def shown_version(row: dict[str, Any]) -> dict[str, Any]:
    """A version of a calendar or a policy, from its columns, with who wrote it as one object."""
    row.pop("id", None)
    author, name = row.pop("created_by_id"), row.pop("created_by__name")
    return {**row, "created_by": {"id": author, "name": name} if author else None}


class _Calendars(ApiView):
    def find(self, key: str) -> SlaCalendar:
        authorize(self.actor, "sla.read")
        found: SlaCalendar | None = SlaCalendar.objects.filter(tenant_id=self.actor.tenant_id, pk=plain_id(key)).first()
        if found is None:
            raise NotFound
        return found

    def shown(self, pk: UUID, status: int = 200) -> Response:
        calendar = self.find(str(pk))
        versions = SlaCalendarVersion.objects.filter(calendar_id=pk).order_by("-version")
        choices = CalendarChoice.objects.filter(tenant_id=self.actor.tenant_id, calendar_id=pk)
        users = choices.values("service_id", "service__name", "organisation_id", "organisation__name")
        body = {
            **{name: getattr(calendar, name) for name in _COLUMNS},
            "newest": shown_version(versions.values(*_VERSION)[:1].get()),
            "services": [{"id": u["service_id"], "name": u["service__name"]} for u in users if u["service_id"]],
            "organisations": [
                {"id": u["organisation_id"], "name": u["organisation__name"]} for u in users if u["organisation_id"]
            ],
        }
        return tagged(Response(body, status=status), calendar.revision)


class CalendarsView(_Calendars):
    """All calendars, by name; making one."""

    query_parameters = (*PAGE_PARAMETERS, "is_active")

    @operation("GET", "sla_calendars_list", "List calendars", tag=_TAG, answer=page_of(shapes.CalendarOut),
               parameters=(*PAGE_QUERY, IN_USE))  # fmt: skip
    def get(self, request: Request) -> Response:
        authorize(self.actor, "sla.read")
        rows = SlaCalendar.objects.filter(tenant_id=self.actor.tenant_id)
        if "is_active" in self.given:
            rows = rows.filter(is_active=yes_or_no("is_active", self.given["is_active"]))
        page = paginate(request, rows, self.given, _BY_NAME, lambda found: list(found.values(*_COLUMNS)))
        return page.response(page.rows)

    @operation("POST", "sla_calendars_create", "Make a calendar", tag=_TAG, body=shapes.NewCalendar,
               answer=shapes.CalendarDetailOut, status=201, tagged=True)  # fmt: skip
    def post(self, request: Request) -> Response:
        calendar = create_calendar(actor=self.actor, **self.body(shapes.NewCalendar))
        response = self.shown(calendar.pk, 201)
        response["Location"] = f"{request.path.rstrip('/')}/{calendar.pk}/"
        return response


class CalendarView(_Calendars):
    """One calendar."""

    @operation("GET", "sla_calendars_get", "Read a calendar", tag=_TAG, answer=shapes.CalendarDetailOut, tagged=True)
    def get(self, request: Request, key: str) -> Response:
        return self.shown(plain_id(key))

    @operation("PATCH", "sla_calendars_update", "Rename it, or put it out of use", tag=_TAG, body=shapes.CalendarChanges,
               answer=shapes.CalendarDetailOut, guarded=True, tagged=True)  # fmt: skip
    def patch(self, request: Request, key: str) -> Response:
        given = self.body(shapes.CalendarChanges)
        if "is_active" in given:
            given["active"] = given.pop("is_active")
        calendar = self.find(key)
        update_calendar(actor=self.actor, calendar_id=calendar.pk, expected_version=expected_version(request), **given)
        return self.shown(calendar.pk)


class CalendarVersionsView(_Calendars):
    """The hours of a calendar as they followed one another."""

    query_parameters = PAGE_PARAMETERS

    @operation("GET", "sla_calendars_versions", "List versions, newest first", tag=_TAG,
               answer=page_of(shapes.CalendarVersionOut), parameters=PAGE_QUERY)  # fmt: skip
    def get(self, request: Request, key: str) -> Response:
        rows = SlaCalendarVersion.objects.filter(calendar_id=self.find(key).pk)
        page = paginate(request, rows, self.given, _NEWEST, lambda found: list(found.values(*_VERSION)))
        return page.response([shown_version(row) for row in page.rows])

    @operation("POST", "sla_calendars_change", "Write the next version; open clocks go on by it", tag=_TAG,
               body=shapes.NewCalendarVersion, answer=shapes.CalendarDetailOut, status=201, guarded=True, tagged=True)  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        given, calendar = self.body(shapes.NewCalendarVersion), self.find(key)
        change_calendar(actor=self.actor, calendar_id=calendar.pk, expected_version=expected_version(request), **given)
        return self.shown(calendar.pk, 201)


class CalendarPreviewView(_Calendars):
    """What would move; nothing is saved."""

    @operation("POST", "sla_calendars_preview", "Try hours on the open clocks", tag=_TAG, body=shapes.HoursToTry,
               answer=shapes.PreviewOut)  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        given, calendar = self.body(shapes.HoursToTry), self.find(key)
        found = preview_calendar(self.actor, calendar.pk, given["hours"], given.get("effective_from"))
        return Response(shapes.shown_preview(found))


class CalendarExportView(_Calendars):
    """The newest hours as a file."""

    @operation("GET", "sla_calendars_export", "Export the hours", tag=_TAG, answer=shapes.ExportOut)
    def get(self, request: Request, key: str) -> Response:
        return Response(newest_version(self.find(key)).hours)


class CalendarHolidaysView(_Calendars):
    """Public holidays to look through. Nothing is saved."""

    query_parameters = ("country", "subdivision", "years", "language")

    @operation("GET", "sla_calendars_holidays", "Propose public holidays", tag=_TAG, answer=shapes.HolidaysOut, parameters=(
        query("country", "Two letters, such as DE.", required=True),
        query("subdivision", "A part of the country, such as BY."),
        query("years", "2027, or 2027,2028, or 2027-2029.", required=True),
        query("language", "In which they are named, where the country has it."),
    ))  # fmt: skip
    def get(self, request: Request, key: str) -> Response:
        hours = read_hours(newest_version(self.find(key)).hours)
        found = self._proposed(hours, self.given)
        return Response({"results": [
            {
                "date": one.day, "name": one.label, "shifts": [write_shift(shift) for shift in one.shifts],
                "half_day": one.half, "observed": one.observed, "estimated": one.estimated, "idle": one.idle,
                "taken": one.taken, "advised": one.advised,
            }
            for one in found
        ]})  # fmt: skip

    def _proposed(self, hours: Hours, given: Mapping[str, str]) -> list[Proposal]:
        """Raises Invalid that names each parameter which cannot be used."""
        problems, years = Problems(), list[int]()
        for name, value in given.items():
            if not value.strip(", "):
                problems.add(name, "empty", f"{name} has no value. Leave it out or give it one.")
        if "language" in given and not _LANGUAGE.match(given["language"]):
            problems.add("language", "unknown_language", "language is a code such as de or en_US.")
        country, part = given.get("country", ""), given.get("subdivision", "")
        check_country(problems, country, part)
        try:
            years = years_of(given.get("years", ""))
        except Invalid as error:
            problems.found += error.problems
        try:
            problems.raise_if_any()
            return propose(hours, country, part, years, given.get("language", self.actor.language))
        except Invalid as error:
            found = [FieldProblem(f"?{p.pointer.removeprefix('/')}", p.code, p.detail) for p in error.problems]
            raise Invalid(found, error.detail) from None


class _UserView(_Calendars):
    def choose(self, key: str, *, leave: bool) -> Response:
        given, calendar = self.body(shapes.CalendarUser), self.find(key)
        users = {f"{name}_id": value for name, value in given.items()}
        if leave and len(users) == 1 and not CalendarChoice.objects.filter(calendar_id=calendar.pk, **users).exists():
            return self.shown(calendar.pk)
        choose_calendar(actor=self.actor, calendar_id=None if leave else calendar.pk, **users)
        return self.shown(calendar.pk)


class CalendarChooseView(_UserView):
    """A service or an organisation lives by this calendar."""

    @operation("POST", "sla_calendars_choose", "Let a service or organisation live by it", tag=_TAG,
               body=shapes.CalendarUser, answer=shapes.CalendarDetailOut, tagged=True)  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        return self.choose(key, leave=False)


class CalendarLeaveView(_UserView):
    """A service or an organisation lives by it no longer."""

    @operation("POST", "sla_calendars_leave", "Take it from a service or organisation", tag=_TAG,
               body=shapes.CalendarUser, answer=shapes.CalendarDetailOut, tagged=True)  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        authorize(self.actor, "sla.manage")
        return self.choose(key, leave=True)


#: Address → view.
CALENDARS: dict[str, type[ApiView]] = {
    "sla-calendars": CalendarsView,
    "sla-calendars/<str:key>": CalendarView,
    "sla-calendars/<str:key>/versions": CalendarVersionsView,
    "sla-calendars/<str:key>/preview": CalendarPreviewView,
    "sla-calendars/<str:key>/export": CalendarExportView,
    "sla-calendars/<str:key>/holidays": CalendarHolidaysView,
    "sla-calendars/<str:key>/choose": CalendarChooseView,
    "sla-calendars/<str:key>/leave": CalendarLeaveView,
}
