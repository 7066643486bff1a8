"""A calendar becomes overrides: first as a review, then, asked again, for good."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from itsm.access.decide import authorize
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid
from itsm.oncall.calendar_in import Found, LeftOut, read_calendar
from itsm.oncall.models import OnCallLayer, OnCallOverride, OnCallSchedule
from itsm.oncall.schedules import find_schedule
from itsm.tenancy.models import Person, TenantSettings

#: How far a calendar is read: import it again when it is used up.
AHEAD: Final = timedelta(days=92)


@dataclass(frozen=True, slots=True)
class Imported:
    """A shift of the calendar with the person that it means."""

    found: Found
    person: Person


@dataclass(slots=True)
class Review:
    """What an import does, or has done: ``added`` and ``removed`` beside what is ``kept``; ``until`` is how far it reads."""

    until: datetime
    added: list[Imported] = field(default_factory=list)
    removed: list[OnCallOverride] = field(default_factory=list)
    kept: list[OnCallOverride] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    applied: bool = False


def import_calendar(*, actor: Actor, schedule_id: UUID, text: str, apply: bool = False) -> Review:
    """Read shifts from an iCalendar text; with ``apply``, put them above the layers, in place of what was imported before.

    Without ``apply`` nothing changes. People who are not known by address or name are named and left out, as is whatever
    else cannot become a shift. Raises Invalid for a text that is no calendar, or (``apply``) holds nothing to import.
    """
    with unit_of_work(actor) as work:
        schedule = find_schedule(actor, schedule_id, lock=apply)
        authorize(actor, "oncall.manage")
        reading = read_calendar(text, _zone_of(actor.tenant_id, schedule), work.now, work.now + AHEAD)
        review = Review(work.now + AHEAD, left_out=reading.left_out)
        wanted = _with_people(actor, reading.found, review)
        _compare(schedule, wanted, review, work.now)
        if apply:
            if not wanted:
                raise Invalid.one("calendar", "nothing_to_import", "No event of this calendar can become a shift.")
            _write(work, schedule, review)
            review.applied = True
    return review


def _zone_of(tenant_id: UUID, schedule: OnCallSchedule) -> ZoneInfo:
    """For times that name no zone: the lowest layer's, or the desk's."""
    layers = OnCallLayer.objects.filter(schedule_id=schedule.pk).order_by("position")
    zone = layers.values_list("time_zone", flat=True).first()
    desk = TenantSettings.objects.filter(tenant_id=tenant_id).values_list("time_zone", flat=True)
    return ZoneInfo(zone or desk.first() or "UTC")


def _with_people(actor: Actor, found: Iterable[Found], review: Review) -> list[Imported]:
    given = list(found)
    people = _people(actor, {name for one in given for name in one.names})
    wanted: list[Imported] = []
    unknown: dict[tuple[str, bool], int] = {}
    for one in given:
        known = next((people[name] for name in one.names if len(people.get(name, ())) == 1), None)
        if known is not None:
            wanted.append(Imported(one, known[0]))
        else:
            several = any(len(people.get(name, ())) > 1 for name in one.names)
            unknown[one.names[-1], several] = unknown.get((one.names[-1], several), 0) + 1
    for (name, several), count in unknown.items():
        code = "several_people" if several else "unknown_person"
        reason = "several people have this name" if several else "nobody here has this address or name"
        review.left_out.append(LeftOut(name, code, f"{reason} ({count})"))
    return wanted


def _people(actor: Actor, names: set[str]) -> dict[str, list[Person]]:
    """Active people by address and by name."""
    rows = Person.objects.filter(tenant_id=actor.tenant_id, is_active=True, erased_at__isnull=True)
    found: dict[str, list[Person]] = defaultdict(list)
    for person in rows.filter(email_key__in={name.lower() for name in names}):
        found[person.email_key or ""].append(person)
    for person in rows.filter(name__in=names):
        found[person.name].append(person)
    return found


def _compare(schedule: OnCallSchedule, wanted: list[Imported], review: Review, now: datetime) -> None:
    rows = OnCallOverride.objects.filter(schedule_id=schedule.pk, ends_at__gt=now)
    there = {row.source_key: row for row in rows.exclude(source_key="").order_by("starts_at")}
    for one in wanted:
        row = there.get(one.found.key)
        same = row is not None and (row.starts_at, row.ends_at, row.person_id) == (
            one.found.start,
            one.found.end,
            one.person.pk,
        )
        if row is not None and same:
            review.kept.append(there.pop(one.found.key))
        else:
            review.added.append(one)
    review.removed = list(there.values())


def _write(work: UnitOfWork, schedule: OnCallSchedule, review: Review) -> None:
    for row in review.removed:
        work.emit("oncall.override_removed", schedule=schedule.pk, override=row.pk)
        row.delete()
    for one in review.added:
        override = OnCallOverride(
            tenant_id=schedule.tenant_id,
            schedule_id=schedule.pk,
            starts_at=one.found.start,
            ends_at=one.found.end,
            person_id=one.person.pk,
            made_by_id=work.actor.person_id,
            source_key=one.found.key,
            created_at=work.now,
        )
        work.add(override)
        work.emit(
            "oncall.override_added",
            schedule=schedule.pk,
            override=override.pk,
            starts_at=override.starts_at,
            ends_at=override.ends_at,
            person=override.person_id,
            swap=False,
            source="calendar",
        )
    work.emit(
        "oncall.calendar_imported",
        schedule=schedule.pk,
        added=len(review.added),
        removed=len(review.removed),
        kept=len(review.kept),
        left_out=len(review.left_out),
    )
