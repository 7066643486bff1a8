"""Hours of work: made, changed by new versions, renamed, put out of use, and chosen by services and organisations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from itsm.access.decide import authorize
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import FieldProblem, Invalid, Problems
from itsm.kernel.texts import clean_text
from itsm.kernel.unset import UNSET, Unset
from itsm.sla.calendar import Hours
from itsm.sla.calendar_file import read_hours, write_hours
from itsm.sla.commands.references import refuse_calendar_in_use
from itsm.sla.models import CalendarChoice, SlaCalendar, SlaCalendarVersion, SlaClock
from itsm.sla.recompute import AT_ONCE, recompute_calendars
from itsm.tenancy.fetch import locked, refuse_changed, refuse_taken
from itsm.tenancy.models import Organisation
from itsm.tickets.fetch import refuse_unknown
from itsm.tickets.models import Service

#: Hours are planned ahead, not for the next generation.
_AHEAD = timedelta(days=5 * 366)


def create_calendar(
    *, actor: Actor, name: str, hours: Any, labels: Mapping[str, str] | None = None, effective_from: date | None = None
) -> SlaCalendar:
    """Add a calendar. Its zone, which stands in ``hours``, is for good. Before its date, its first hours hold as well."""
    problems = Problems()
    clean_name = clean_text(problems, "name", name, limit=120, required=True, line=True)
    given = checked_hours(problems, hours)
    clean_labels = _labels(problems, labels or {}, given)
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        authorize(actor, "sla.manage")
        refuse_taken(SlaCalendar, actor.tenant_id, "a calendar", name=clean_name)
        calendar = SlaCalendar(tenant_id=actor.tenant_id, name=clean_name, time_zone=given.zone.key)
        today = _today(given)
        work.add(calendar)
        work.add(_version(work, calendar, 1, effective_from or today, given, clean_labels))
        work.emit("sla.calendar_created", calendar=calendar.pk)
    return calendar


def change_calendar(
    *,
    actor: Actor,
    calendar_id: UUID,
    hours: Any,
    labels: Mapping[str, str] | Unset = UNSET,
    effective_from: date | None = None,
    expected_version: int | None = None,
) -> SlaCalendarVersion:
    """Write the next version: these hours hold from a date on (today unless told), those of before until then.

    Open clocks bank what they used by the old hours and go on by the new ones; what has fired stays fired. The first of
    them move at once, the others within seconds. Labels that are not given stay with the dates that are still exceptions.
    """
    problems = Problems()
    given = checked_hours(problems, hours)
    clean_labels = UNSET if labels is UNSET else _labels(problems, labels, given)
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        authorize(actor, "sla.manage")
        calendar = _locked(actor, calendar_id, expected_version)
        newest = newest_version(calendar)
        start = checked_start(calendar, given, effective_from)
        if clean_labels is UNSET:
            clean_labels = {
                day: text for day, text in newest.labels.items() if date.fromisoformat(day) in given.exceptions
            }
        written = write_hours(given)
        fields = [name for name, old, new in (
            ("hours", write_hours(read_hours(newest.hours)), written), ("labels", newest.labels, clean_labels),
        ) if old != new]  # fmt: skip
        if effective_from is not None and effective_from != newest.effective_from and newest.effective_from != start:
            fields.append("effective_from")
        if not fields:
            return newest
        version = _version(work, calendar, newest.version + 1, start, given, clean_labels)
        work.add(version)
        calendar.revision += 1
        work.changed(calendar, "revision")
        open_clocks = SlaClock.objects.filter(
            state__in=["running", "paused"], calendar_version__calendar=calendar.pk
        ).count()
        work.emit(
            "sla.calendar_changed", calendar=calendar.pk, version=version.version, fields=fields, clocks=open_clocks
        )
    recompute_calendars(actor.tenant_id, most=AT_ONCE)
    return version


def update_calendar(
    *,
    actor: Actor,
    calendar_id: UUID,
    name: str | Unset = UNSET,
    active: bool | Unset = UNSET,
    expected_version: int | None = None,
) -> SlaCalendar:
    """Rename a calendar, or put it out of use and back. One that policies, services or organisations use stays in use."""
    problems = Problems()
    clean: dict[str, Any] = {}
    if name is not UNSET:
        clean["name"] = clean_text(problems, "name", name, limit=120, required=True, line=True)
    if active is not UNSET:
        clean["is_active"] = active
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        authorize(actor, "sla.manage")
        calendar = _locked(actor, calendar_id, expected_version)
        if "name" in clean:
            refuse_taken(SlaCalendar, actor.tenant_id, "a calendar", but=calendar.pk, name=clean["name"])
        if calendar.is_active and clean.get("is_active") is False:
            refuse_calendar_in_use(actor, calendar)
        changed = sorted(field for field, value in clean.items() if getattr(calendar, field) != value)
        for field in changed:
            setattr(calendar, field, clean[field])
        if changed:
            calendar.revision += 1
            work.changed(calendar, "revision", *changed)
            work.emit("sla.calendar_changed", calendar=calendar.pk, fields=changed)
    return calendar


def choose_calendar(
    *, actor: Actor, calendar_id: UUID | None, service_id: UUID | None = None, organisation_id: UUID | None = None
) -> None:
    """Say by which calendar a service or a requester's organisation lives; None: by none of its own.

    It counts for policies whose ``calendar_source`` asks for it, and for clocks that start or are retargeted from now on.
    """
    if (service_id is None) == (organisation_id is None):
        raise Invalid.one("service", "required", "Name either a service or an organisation.")
    with unit_of_work(actor) as work:
        authorize(actor, "sla.manage")
        refuse_unknown(
            actor,
            calendar=(SlaCalendar, calendar_id),
            service=(Service, service_id),
            organisation=(Organisation, organisation_id),
        )
        rows = CalendarChoice.objects.select_for_update().filter(tenant_id=actor.tenant_id)
        rows = rows.filter(service_id=service_id) if service_id else rows.filter(organisation_id=organisation_id)
        choice: CalendarChoice | None = rows.first()
        if (choice.calendar_id if choice else None) == calendar_id:
            return
        if calendar_id is None:
            rows.delete()
        elif choice is None:
            work.add(
                CalendarChoice(
                    tenant_id=actor.tenant_id,
                    calendar_id=calendar_id,
                    service_id=service_id,
                    organisation_id=organisation_id,
                )
            )
        else:
            choice.calendar_id = calendar_id
            work.changed(choice, "calendar")
        work.emit("sla.calendar_chosen", calendar=calendar_id, service=service_id, organisation=organisation_id)


def checked_hours(problems: Problems, hours: Any) -> Hours:
    """The hours, with problems named below ``hours``. Raises Invalid at once: without hours nothing else can be checked."""
    try:
        return read_hours(hours)
    except Invalid as error:
        found = [FieldProblem(f"/hours{p.pointer.rstrip('/')}", p.code, p.detail, p.values) for p in error.problems]
        raise Invalid([*problems.found, *found], error.detail) from None


def checked_start(calendar: SlaCalendar, hours: Hours, effective_from: date | None) -> date:
    """From when on new hours of a calendar hold. Raises Invalid for another zone, the past, and the far future."""
    if hours.zone.key != calendar.time_zone:
        raise Invalid.one(
            "hours/timezone",
            "zone_for_good",
            f"The zone of a calendar is for good ({calendar.time_zone}). Make another calendar for {hours.zone.key}.",
            zone=calendar.time_zone,
        )
    today = _today(hours)
    if effective_from is None:
        return today
    if effective_from < today:
        raise Invalid.one(
            "effective_from", "before_today", "What has passed was counted by the hours of then. Name today or later."
        )
    if effective_from > today + _AHEAD:
        raise Invalid.one("effective_from", "too_far", "Hours are planned at most five years ahead.")
    return effective_from


def newest_version(calendar: SlaCalendar) -> SlaCalendarVersion:
    """The version that was written last, whether it holds already or not."""
    versions = SlaCalendarVersion.objects.filter(calendar_id=calendar.pk).order_by("-version")
    found: SlaCalendarVersion = versions[:1].get()
    return found


def _version(
    work: UnitOfWork, calendar: SlaCalendar, number: int, start: date, hours: Hours, labels: Mapping[str, str]
) -> SlaCalendarVersion:
    return SlaCalendarVersion(
        tenant_id=calendar.tenant_id,
        calendar_id=calendar.pk,
        version=number,
        effective_from=start,
        hours=write_hours(hours),
        labels=dict(sorted(labels.items())),
        created_by_id=work.actor.person_id,
        created_at=work.now,
    )


def _today(hours: Hours) -> date:
    return clock.now().astimezone(hours.zone).date()


def _labels(problems: Problems, labels: Any, hours: Hours) -> dict[str, str]:
    """What exceptions are called, by date."""
    if not isinstance(labels, Mapping):
        problems.add("labels", "not_an_object", "labels is an object of dates and names.")
        return {}
    known = {day.isoformat() for day in hours.exceptions}
    clean = {}
    for day, text in labels.items():
        place = f"labels/{str(day)[:20]}"
        if day not in known:
            problems.add(place, "unknown_date", "Only dates that are exceptions have a name.")
        elif not isinstance(text, str):
            problems.add(place, "not_text", "A name is text.")
        elif name := clean_text(problems, place, text, limit=120, line=True):
            clean[str(day)] = name
    return clean


def _locked(actor: Actor, calendar_id: UUID, expected: int | None) -> SlaCalendar:
    calendar = locked(SlaCalendar, actor.tenant_id, calendar_id, referenced=True)
    refuse_changed(calendar.revision, expected)
    return calendar
