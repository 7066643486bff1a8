"""Schedules read from the database: which ones an actor sees, and each as a rota with the people in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from itsm.access.decide import allows
from itsm.kernel.actor import Actor
from itsm.kernel.errors import NotFound
from itsm.oncall.layers import layer_of
from itsm.oncall.models import OnCallLayer, OnCallOverride, OnCallParticipant, OnCallSchedule
from itsm.oncall.rota import Override, Rota, Shift, Standing, on_call_at, shifts, turns
from itsm.tenancy.models import Person


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule with all that answers questions about it."""

    schedule: OnCallSchedule
    rota: Rota
    layers: tuple[OnCallLayer, ...]
    overrides: tuple[OnCallOverride, ...]
    people: dict[UUID, Person]
    #: Who has left (inactive or erased) and is passed over.
    away: frozenset[UUID]

    def at(self, instant: datetime) -> Standing:
        """Who is on call at ``instant``; nobody on a schedule that is not in use."""
        return on_call_at(self.rota, instant, self.away) if self.schedule.is_active else Standing()

    def shifts(self, start: datetime, end: datetime) -> list[Shift]:
        """The first level from ``start`` to ``end``, gaps included."""
        return shifts(self.rota, start, end, self.away)

    def turns(self, start: datetime, end: datetime) -> list[Shift]:
        """The same, turn by turn and each in its whole length."""
        return turns(self.rota, start, end, self.away)

    def participants(self, layer: OnCallLayer) -> list[Person]:
        """The people of a layer in their order; those who have left among them."""
        return [self.people[person] for one in self.rota.layers if one.key == layer.pk for person in one.people]

    def source_name(self, shift: Shift) -> str:
        """The name of the layer that gives a shift; "" for an override and for a gap."""
        key = shift.duty.source if shift.duty else None
        return next((layer.name for layer in self.layers if layer.pk == key), "")


def visible_schedules(actor: Actor) -> QuerySet[Any]:
    """The schedules that exist for the actor: one of a restricted team is unknown to whoever is no member."""
    rows: QuerySet[Any] = OnCallSchedule.objects.filter(tenant_id=actor.tenant_id)
    if not actor.hidden_teams or allows(actor, "team.manage"):
        return rows
    # Not exclude(): a schedule without a team would be lost with it.
    return rows.exclude(team_id__isnull=False, team_id__in=actor.hidden_teams)


def find_schedule(actor: Actor, schedule_id: UUID, *, lock: bool = False) -> OnCallSchedule:
    """The schedule, under lock when it is about to change. Raises NotFound when it does not exist for the actor."""
    rows = visible_schedules(actor).filter(pk=schedule_id)
    found: OnCallSchedule | None = (rows.select_for_update() if lock else rows.select_related("team")).first()
    if found is None:
        raise NotFound
    return found


def plans(schedules: Iterable[OnCallSchedule], since: datetime) -> list[Plan]:
    """These schedules with their rotas, for questions about ``since`` and later. Four queries, however many they are."""
    given = list(schedules)
    ids = [one.pk for one in given]
    if not given:
        return []
    layers: dict[UUID, list[OnCallLayer]] = defaultdict(list)
    for layer in OnCallLayer.objects.filter(schedule_id__in=ids).order_by("position"):
        layers[layer.schedule_id].append(layer)
    places: dict[UUID, list[UUID]] = defaultdict(list)
    rows = OnCallParticipant.objects.filter(layer__schedule_id__in=ids).order_by("position")
    for layer_id, person_id in rows.values_list("layer_id", "person_id"):
        places[layer_id].append(person_id)
    overrides: dict[UUID, list[OnCallOverride]] = defaultdict(list)
    for override in OnCallOverride.objects.filter(schedule_id__in=ids, ends_at__gt=since):
        overrides[override.schedule_id].append(override)
    known = {person for found in places.values() for person in found}
    known |= {one.person_id for found in overrides.values() for one in found if one.person_id}
    people = {person.pk: person for person in Person.objects.filter(pk__in=known)}
    return [_plan(one, layers[one.pk], places, overrides[one.pk], people) for one in given]


def plan_of(schedule: OnCallSchedule, since: datetime) -> Plan:
    """One schedule with its rota."""
    return plans([schedule], since)[0]


def _plan(
    schedule: OnCallSchedule,
    layers: list[OnCallLayer],
    places: dict[UUID, list[UUID]],
    overrides: list[OnCallOverride],
    people: dict[UUID, Person],
) -> Plan:
    # What was imported lies below what somebody wrote by hand; among each, the later one covers.
    overrides.sort(key=lambda one: (not one.source_key, one.created_at, one.pk))
    rota = Rota(
        tuple(layer_of(layer, places[layer.pk]) for layer in layers if places[layer.pk]),
        tuple(Override(one.pk, one.starts_at, one.ends_at, one.person_id) for one in overrides),
    )
    mine = {person for layer in rota.layers for person in layer.people} | {
        one.person for one in rota.overrides if one.person
    }
    known = {pk: people[pk] for pk in mine}
    away = frozenset(pk for pk, person in known.items() if not person.is_active or person.erased_at is not None)
    return Plan(schedule, rota, tuple(layers), tuple(overrides), known, away)
