"""Overrides: somebody else for a time. Whoever manages schedules writes any; everybody else hands over his own shifts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from itsm.access.decide import allows, authorize
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Forbidden, Invalid, NotFound, Problems
from itsm.oncall.models import OnCallOverride, OnCallSchedule
from itsm.oncall.schedules import find_schedule, plan_of
from itsm.tenancy.models import Person

#: The longest override, and how many of a schedule may lie ahead.
LONGEST: Final = timedelta(days=366)
OVERRIDES_MAX: Final = 1000


def add_override(
    *, actor: Actor, schedule_id: UUID, starts_at: datetime, ends_at: datetime, person_id: UUID | None
) -> OnCallOverride:
    """Put somebody (None: deliberately nobody) on call from ``starts_at`` to before ``ends_at``, above all layers.

    With ``oncall.manage`` for any time. With ``oncall.swap`` only where the actor is on call during all of it, and only for
    somebody who takes turns in this schedule: a shift is handed over, never dropped and never taken away.
    """
    problems = Problems()
    if ends_at <= starts_at:
        problems.add("ends_at", "reversed", "The end must be after the start.")
    elif ends_at - starts_at > LONGEST:
        problems.add(
            "ends_at", "too_long", f"An override lasts at most {LONGEST.days} days. Change the layers instead."
        )
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        schedule = find_schedule(actor, schedule_id, lock=True)
        swap = not allows(actor, "oncall.manage")
        if swap:
            authorize(actor, "oncall.swap")
        if ends_at <= work.now:
            raise Invalid.one("ends_at", "in_the_past", "The end must be in the future.")
        _refuse_stranger(actor, person_id)
        if swap:
            _refuse_what_is_not_handed_over(actor, schedule, starts_at, ends_at, person_id)
        ahead = OnCallOverride.objects.filter(tenant_id=actor.tenant_id, schedule_id=schedule.pk, ends_at__gt=work.now)
        if ahead.count() >= OVERRIDES_MAX:
            raise Invalid.one("schedule", "too_many", f"A schedule has at most {OVERRIDES_MAX} overrides ahead.")
        override = OnCallOverride(
            tenant_id=actor.tenant_id,
            schedule_id=schedule.pk,
            starts_at=starts_at,
            ends_at=ends_at,
            person_id=person_id,
            made_by_id=actor.person_id,
            created_at=work.now,
        )
        work.add(override)
        work.emit(
            "oncall.override_added",
            schedule=schedule.pk,
            override=override.pk,
            starts_at=starts_at,
            ends_at=ends_at,
            person=person_id,
            swap=swap,
        )
    return override


def remove_override(*, actor: Actor, schedule_id: UUID, override_id: UUID) -> None:
    """Take an override away: any with ``oncall.manage``, with ``oncall.swap`` the one that the actor made himself."""
    with unit_of_work(actor) as work:
        schedule = find_schedule(actor, schedule_id, lock=True)
        override = OnCallOverride.objects.filter(
            tenant_id=actor.tenant_id, schedule_id=schedule.pk, pk=override_id
        ).first()
        if override is None:
            raise NotFound
        if not (allows(actor, "oncall.swap") and actor.person_id and override.made_by_id == actor.person_id):
            authorize(actor, "oncall.manage")
        work.emit("oncall.override_removed", schedule=schedule.pk, override=override.pk)
        override.delete()


def _refuse_stranger(actor: Actor, person_id: UUID | None) -> None:
    if person_id is None:
        return
    people = Person.objects.filter(tenant_id=actor.tenant_id, pk=person_id, is_active=True, erased_at__isnull=True)
    if not people.exists():
        raise Invalid.one("person", "unknown_reference", "There is no active person with this id.")


def _refuse_what_is_not_handed_over(
    actor: Actor, schedule: OnCallSchedule, starts_at: datetime, ends_at: datetime, person_id: UUID | None
) -> None:
    plan = plan_of(schedule, starts_at)
    if actor.person_id is None or any(one.person != actor.person_id for one in plan.shifts(starts_at, ends_at)):
        raise Forbidden("oncall.manage")
    turns = {person for layer in plan.rota.layers for person in layer.people}
    if person_id is None or person_id not in turns or person_id == actor.person_id:
        raise Invalid.one("person", "not_on_the_rota", "Hand your shift over to somebody else who takes turns here.")
