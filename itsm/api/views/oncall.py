"""On-call schedules: their rules, who is on call when, overrides, and shifts out of calendars."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.access.decide import authorize
from itsm.api.concurrency import expected_version, tagged
from itsm.api.filters import bad_parameter, instant, yes_or_no
from itsm.api.oncall import (
    CalendarIn,
    NewOverride,
    NewSchedule,
    OnCallNowOut,
    OnCallOverrideOut,
    OnCallScheduleOut,
    OnCallShiftsOut,
    ReviewOut,
    ScheduleChange,
    command_fields,
    named,
    override_shown,
    review_shown,
    schedule_shown,
    shift_shown,
    source_shown,
)
from itsm.api.pagination import PAGE_PARAMETERS, paginate
from itsm.api.queries import plain_id
from itsm.api.schema import PAGE_QUERY, operation, page_of, query
from itsm.api.views.base import ApiView
from itsm.kernel import clock
from itsm.kernel.errors import NotFound
from itsm.oncall import commands
from itsm.oncall.models import OnCallOverride, OnCallSchedule
from itsm.oncall.schedules import Plan, find_schedule, plan_of, plans, visible_schedules
from itsm.tenancy.models import Person
from itsm.tickets.keyset import Sort

#: The longest time that is answered at once.
WINDOW_MAX: Final = timedelta(days=100)
_YEARS: Final = range(2000, 2100)
_TIME = OpenApiTypes.DATETIME
_TAG: Final = "on-call"


class _View(ApiView):
    """What the views share: the schedule of the address, for readers."""

    def schedule(self, key: str) -> OnCallSchedule:
        found = find_schedule(self.actor, plain_id(key))
        authorize(self.actor, "oncall.read")
        return found

    def instant(self, name: str, default: datetime) -> datetime:
        """A query parameter as an instant. Raises Invalid beyond the years that a rota can tell."""
        value = instant(name, self.given[name]) if name in self.given else default
        if value.year not in _YEARS:
            raise bad_parameter(name, "out_of_range", f"{name} must lie in {_YEARS[0]} to {_YEARS[-1]}.")
        return value

    def created(self, request: Request, plan: Plan) -> Response:
        response = tagged(Response(schedule_shown(plan), status=201), plan.schedule.revision)
        response["Location"] = request.build_absolute_uri(f"{request.path.rstrip('/')}/{plan.schedule.pk}/")
        return response


class SchedulesView(_View):
    """Schedules, by name; adding one."""

    query_parameters: ClassVar[Collection[str]] = (*PAGE_PARAMETERS, "is_active")

    @operation(
        "GET",
        "on_call_schedules_list",
        "List on-call schedules",
        tag=_TAG,
        answer=page_of(OnCallScheduleOut),
        parameters=(*PAGE_QUERY, query("is_active", "Only those in use (or not).", kind={"type": "boolean"})),
    )
    def get(self, request: Request) -> Response:
        authorize(self.actor, "oncall.read")
        rows = visible_schedules(self.actor).select_related("team")
        if "is_active" in self.given:
            rows = rows.filter(is_active=yes_or_no("is_active", self.given["is_active"]))
        page = paginate(request, rows, self.given, Sort("name", "name", kind=str), _with_plans)
        return page.response([schedule_shown(row["plan"]) for row in page.rows])

    @operation(
        "POST",
        "on_call_schedules_create",
        "Add an on-call schedule",
        tag=_TAG,
        body=NewSchedule,
        answer=OnCallScheduleOut,
        status=201,
        tagged=True,
    )
    def post(self, request: Request) -> Response:
        made = commands.create_schedule(actor=self.actor, **command_fields(self.body(NewSchedule)))
        return self.created(request, plan_of(made, clock.now()))


def _with_plans(found: QuerySet[Any]) -> list[dict[str, Any]]:
    return [{"id": plan.schedule.pk, "name": plan.schedule.name, "plan": plan} for plan in plans(found, clock.now())]


class ScheduleView(_View):
    """One schedule."""

    @operation(
        "GET", "on_call_schedules_get", "Read an on-call schedule", tag=_TAG, answer=OnCallScheduleOut, tagged=True
    )
    def get(self, request: Request, key: str) -> Response:
        return _shown(self.schedule(key))

    @operation(
        "PATCH",
        "on_call_schedules_update",
        "Change an on-call schedule",
        tag=_TAG,
        body=ScheduleChange,
        answer=OnCallScheduleOut,
        guarded=True,
        tagged=True,
    )
    def patch(self, request: Request, key: str) -> Response:
        fields = command_fields(self.body(ScheduleChange))
        schedule_id, seen = plain_id(key), expected_version(request)
        return _shown(
            commands.update_schedule(actor=self.actor, schedule_id=schedule_id, expected_version=seen, **fields)
        )


def _shown(schedule: OnCallSchedule) -> Response:
    return tagged(Response(schedule_shown(plan_of(schedule, clock.now()))), schedule.revision)


class ShiftsView(_View):
    """Who is on call when."""

    query_parameters = ("from", "to")

    @operation(
        "GET",
        "on_call_schedules_shifts",
        "List the shifts of a time, gaps among them",
        tag=_TAG,
        answer=OnCallShiftsOut,
        parameters=(
            query("from", "Now, unless told.", kind=_TIME),
            query("to", f"Seven days after `from`, unless told; at most {WINDOW_MAX.days} days.", kind=_TIME),
        ),
    )
    def get(self, request: Request, key: str) -> Response:
        schedule = self.schedule(key)
        start = self.instant("from", clock.now())
        end = self.instant("to", start + timedelta(days=7))
        if not start < end <= start + WINDOW_MAX:
            raise bad_parameter("to", "out_of_range", f"to must lie after from, at most {WINDOW_MAX.days} days.")
        plan = plan_of(schedule, start)
        shown = [(shift.person, shift_shown(plan, shift)) for shift in plan.shifts(start, end)]
        return Response(
            {
                "starts_at": start,
                "ends_at": end,
                "shifts": [one for _, one in shown],
                "gaps": [one for person, one in shown if person is None],
            }
        )


class NowView(_View):
    """Who is on call now."""

    query_parameters = ("at",)

    @operation(
        "GET",
        "on_call_schedules_now",
        "Who is on call now, or at another time",
        tag=_TAG,
        answer=OnCallNowOut,
        parameters=(query("at", "Now, unless told.", kind=_TIME),),
    )
    def get(self, request: Request, key: str) -> Response:
        schedule = self.schedule(key)
        at = self.instant("at", clock.now())
        plan = plan_of(schedule, at)
        standing = plan.at(at)
        levels = [
            {
                "level": number,
                "person": named(plan.people.get(duty.person) if duty.person else None),
                **source_shown(plan, duty.source, is_override=duty.is_override),
            }
            for number, duty in enumerate(standing.duties, start=1)
        ]
        first = standing.first
        return Response(
            {
                "at": at,
                "is_gap": first is None or first.person is None,
                "levels": levels,
                "skipped": [named(plan.people[one]) for one in standing.skipped],
            }
        )


class OverridesView(_View):
    """The overrides of a schedule."""

    query_parameters = PAGE_PARAMETERS

    @operation(
        "GET",
        "on_call_overrides_list",
        "List overrides that have not ended, the next first",
        tag=_TAG,
        answer=page_of(OnCallOverrideOut),
        parameters=PAGE_QUERY,
    )
    def get(self, request: Request, key: str) -> Response:
        schedule = self.schedule(key)
        rows = OnCallOverride.objects.filter(
            tenant_id=self.actor.tenant_id, schedule_id=schedule.pk, ends_at__gt=clock.now()
        )
        page = paginate(request, rows, self.given, Sort("starts_at", "starts_at"), _with_rows)
        people = _people(row["row"] for row in page.rows)
        return page.response([override_shown(row["row"], people) for row in page.rows])

    @operation(
        "POST",
        "on_call_overrides_create",
        "Put somebody else on call; without oncall.manage, hand over one's own shift",
        tag=_TAG,
        body=NewOverride,
        answer=OnCallOverrideOut,
        status=201,
    )
    def post(self, request: Request, key: str) -> Response:
        data = self.body(NewOverride)
        made = commands.add_override(actor=self.actor, schedule_id=plain_id(key), person_id=data.pop("person"), **data)
        response = Response(override_shown(made, _people([made])), status=201)
        response["Location"] = request.build_absolute_uri(f"{request.path.rstrip('/')}/{made.pk}/")
        return response


class OverrideView(_View):
    """One override."""

    @operation("GET", "on_call_overrides_get", "Read an override", tag=_TAG, answer=OnCallOverrideOut)
    def get(self, request: Request, key: str, override: str) -> Response:
        schedule = self.schedule(key)
        row = OnCallOverride.objects.filter(
            tenant_id=self.actor.tenant_id, schedule_id=schedule.pk, pk=plain_id(override)
        ).first()
        if row is None:
            raise NotFound
        return Response(override_shown(row, _people([row])))

    @operation("DELETE", "on_call_overrides_delete", "Take an override away", tag=_TAG, status=204)
    def delete(self, request: Request, key: str, override: str) -> Response:
        commands.remove_override(actor=self.actor, schedule_id=plain_id(key), override_id=plain_id(override))
        return Response(status=204)


class ImportView(_View):
    """Shifts out of a calendar."""

    @operation(
        "POST",
        "on_call_schedules_import",
        "Review a calendar, or (apply) put its shifts above the layers",
        tag=_TAG,
        body=CalendarIn,
        answer=ReviewOut,
    )
    def post(self, request: Request, key: str) -> Response:
        data = self.body(CalendarIn)
        review = commands.import_calendar(
            actor=self.actor, schedule_id=plain_id(key), text=data["calendar"], apply=data.get("apply", False)
        )
        return Response(review_shown(review, _people(review.removed)))


def _with_rows(found: QuerySet[Any]) -> list[dict[str, Any]]:
    return [{"id": row.pk, "starts_at": row.starts_at, "row": row} for row in found]


def _people(rows: Iterable[OnCallOverride]) -> dict[UUID, Person]:
    """The people of overrides, in one query."""
    wanted = {row.person_id for row in rows if row.person_id}
    return {person.pk: person for person in Person.objects.filter(pk__in=wanted)} if wanted else {}
