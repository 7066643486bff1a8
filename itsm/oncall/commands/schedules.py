"""Schedules and their layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from itsm.access.decide import authorize
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, NotFound, Problems
from itsm.kernel.texts import clean_text
from itsm.kernel.unset import UNSET, Unset
from itsm.oncall.layers import LAYERS_MAX, LayerRules, check
from itsm.oncall.models import OnCallLayer, OnCallParticipant, OnCallSchedule
from itsm.oncall.schedules import find_schedule
from itsm.tenancy.fetch import locked, refuse_changed, refuse_taken
from itsm.tenancy.models import Person, Team

Checked = list[tuple[dict[str, Any], Sequence[UUID]]]


def create_schedule(
    *,
    actor: Actor,
    name: str,
    description: str = "",
    team_id: UUID | None = None,
    layers: Sequence[LayerRules] = (),
) -> OnCallSchedule:
    """Add a schedule. ``layers`` from the lowest to the highest; a later one covers an earlier one."""
    problems = Problems()
    clean = _words(problems, name=name, description=description)
    checked = _checked(problems, layers)
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        authorize(actor, "oncall.manage")
        _refuse_unknown(actor, problems, team_id, checked)
        refuse_taken(OnCallSchedule, actor.tenant_id, "a schedule", name=clean["name"])
        schedule = OnCallSchedule(tenant_id=actor.tenant_id, team_id=team_id, created_at=work.now, **clean)
        work.add(schedule)
        rows = [_add_layer(work, schedule, number, *one) for number, one in enumerate(checked)]
        work.emit("oncall.schedule_created", schedule=schedule.pk, layers=_told(rows, checked), team=team_id)
    return schedule


def update_schedule(
    *,
    actor: Actor,
    schedule_id: UUID,
    name: str | Unset = UNSET,
    description: str | Unset = UNSET,
    team_id: UUID | None | Unset = UNSET,
    active: bool | Unset = UNSET,
    layers: Sequence[LayerRules] | Unset = UNSET,
    expected_version: int | None = None,
) -> OnCallSchedule:
    """Change a schedule; what is UNSET stays. ``layers`` replaces all of them, each position keeping its identity.

    Raises Conflict unless it has the revision ``expected_version``; None does not ask.
    """
    problems = Problems()
    clean = _words(problems, name=name, description=description)
    if active is not UNSET:
        clean["is_active"] = active
    if team_id is not UNSET:
        clean["team_id"] = team_id
    checked = None if layers is UNSET else _checked(problems, layers)
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        schedule = _managed(actor, schedule_id)
        refuse_changed(schedule.revision, expected_version)
        team = team_id if team_id is not UNSET and team_id != schedule.team_id else None
        _refuse_unknown(actor, problems, team, checked or [], keep=_people_of(schedule) if checked else set())
        if "name" in clean:
            refuse_taken(OnCallSchedule, actor.tenant_id, "a schedule", but=schedule.pk, name=clean["name"])
        changed = sorted(field for field, value in clean.items() if getattr(schedule, field) != value)
        for field in changed:
            setattr(schedule, field, clean[field])
        if changed or checked is not None:
            _count_up(work, schedule, *changed)
        if checked is not None:
            told = _told(_replace_layers(work, schedule, checked), checked)
            work.emit("oncall.schedule_changed", schedule=schedule.pk, fields=[*changed, "layers"], layers=told)
        elif changed:
            work.emit("oncall.schedule_changed", schedule=schedule.pk, fields=changed)
    return schedule


def add_layer(*, actor: Actor, schedule_id: UUID, rules: LayerRules) -> OnCallLayer:
    """Put a layer on top of a schedule: it covers those that are there."""
    checked = _one(rules)
    with unit_of_work(actor) as work:
        schedule = _managed(actor, schedule_id)
        _refuse_unknown(actor, Problems(), None, checked, place="")
        there = list(_layers_of(schedule))
        if len(there) >= LAYERS_MAX:
            raise Invalid.one("schedule", "too_many", f"A schedule has at most {LAYERS_MAX} layers.")
        layer = _add_layer(work, schedule, there[-1].position + 1 if there else 0, *checked[0])
        _count_up(work, schedule)
        work.emit("oncall.schedule_changed", schedule=schedule.pk, fields=["layers"], layers=_told([layer], checked))
    return layer


def update_layer(*, actor: Actor, layer_id: UUID, rules: LayerRules) -> OnCallLayer:
    """Give a layer other rules. They hold for the past as well: put a new layer on top to change only what comes."""
    checked = _one(rules)
    with unit_of_work(actor) as work:
        layer, schedule = _managed_layer(actor, layer_id)
        keep = set(OnCallParticipant.objects.filter(layer_id=layer.pk).values_list("person_id", flat=True))
        _refuse_unknown(actor, Problems(), None, checked, keep=keep, place="")
        _set_layer(work, layer, *checked[0])
        _count_up(work, schedule)
        work.emit("oncall.schedule_changed", schedule=schedule.pk, fields=["layers"], layers=_told([layer], checked))
    return layer


def remove_layer(*, actor: Actor, layer_id: UUID) -> None:
    """Take a layer away; those below it show through."""
    with unit_of_work(actor) as work:
        layer, schedule = _managed_layer(actor, layer_id)
        OnCallParticipant.objects.filter(layer_id=layer.pk).delete()
        layer.delete()
        _count_up(work, schedule)
        work.emit("oncall.schedule_changed", schedule=schedule.pk, fields=["layers"])


def _managed(actor: Actor, schedule_id: UUID) -> OnCallSchedule:
    """The schedule under lock, for somebody who may change it. NotFound goes before Forbidden."""
    schedule = find_schedule(actor, schedule_id, lock=True)
    authorize(actor, "oncall.manage")
    return schedule


def _count_up(work: UnitOfWork, schedule: OnCallSchedule, *changed: str) -> None:
    schedule.revision += 1
    work.changed(schedule, "revision", *changed)


def _managed_layer(actor: Actor, layer_id: UUID) -> tuple[OnCallLayer, OnCallSchedule]:
    found = OnCallLayer.objects.filter(tenant_id=actor.tenant_id, pk=layer_id).first()
    if found is None:
        raise NotFound
    schedule = _managed(actor, found.schedule_id)
    return locked(OnCallLayer, actor.tenant_id, layer_id), schedule


def _layers_of(schedule: OnCallSchedule) -> Any:
    return OnCallLayer.objects.filter(schedule_id=schedule.pk).order_by("position")


def _people_of(schedule: OnCallSchedule) -> set[UUID]:
    rows = OnCallParticipant.objects.filter(layer__schedule_id=schedule.pk)
    return set(rows.values_list("person_id", flat=True))


def _words(problems: Problems, *, name: str | Unset, description: str | Unset) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    if name is not UNSET:
        clean["name"] = clean_text(problems, "name", name, limit=120, required=True, line=True)
    if description is not UNSET:
        clean["description"] = clean_text(problems, "description", description, limit=500)
    return clean


def _checked(problems: Problems, layers: Sequence[LayerRules]) -> Checked:
    if len(layers) > LAYERS_MAX:
        problems.add("layers", "too_many", f"A schedule has at most {LAYERS_MAX} layers.")
        return []
    return [(check(problems, f"layers/{number}/", one), one.participants) for number, one in enumerate(layers)]


def _one(rules: LayerRules) -> Checked:
    problems = Problems()
    checked = [(check(problems, "", rules), rules.participants)]
    problems.raise_if_any()
    return checked


def _refuse_unknown(
    actor: Actor,
    problems: Problems,
    team_id: UUID | None,
    checked: Checked,
    *,
    keep: set[UUID] | frozenset[UUID] = frozenset(),
    place: str = "layers/{}/",
) -> None:
    """Teams and people must be of this organisation and in use; who has left may stay where he is and come nowhere new."""
    if team_id is not None:
        teams = Team.objects.filter(tenant_id=actor.tenant_id, pk=team_id, is_active=True)
        if team_id in actor.hidden_teams or not teams.exists():
            problems.add("team", "unknown_reference", "There is no active team with this id.")
    named = {person for _, people in checked for person in people}
    here = Person.objects.filter(tenant_id=actor.tenant_id, pk__in=named, erased_at__isnull=True)
    fit = {pk for pk, active in here.values_list("pk", "is_active") if active or pk in keep}
    for number, (_, people) in enumerate(checked):
        for index, person in enumerate(people):
            if person not in fit:
                problems.add(
                    f"{place.format(number)}participants" + (f"/{index}" if place else ""),
                    "unknown_reference",
                    "There is no active person with this id.",
                )
    problems.raise_if_any()


def _add_layer(
    work: UnitOfWork, schedule: OnCallSchedule, position: int, fields: dict[str, Any], people: Sequence[UUID]
) -> OnCallLayer:
    layer = OnCallLayer(schedule_id=schedule.pk, position=position, **fields)
    work.add(layer)
    _seat(work, layer, people)
    return layer


def _set_layer(work: UnitOfWork, layer: OnCallLayer, fields: dict[str, Any], people: Sequence[UUID]) -> None:
    for name, value in fields.items():
        setattr(layer, name, value)
    work.changed(layer, *fields)
    OnCallParticipant.objects.filter(layer_id=layer.pk).delete()
    _seat(work, layer, people)


def _seat(work: UnitOfWork, layer: OnCallLayer, people: Sequence[UUID]) -> None:
    for position, person in enumerate(people):
        work.add(OnCallParticipant(tenant_id=layer.tenant_id, layer_id=layer.pk, position=position, person_id=person))


def _replace_layers(work: UnitOfWork, schedule: OnCallSchedule, checked: Checked) -> list[OnCallLayer]:
    """The n-th layer stays the n-th row, so that what refers to it (calendar programs, by its id) goes on."""
    there = list(_layers_of(schedule).select_for_update())
    kept = there[: len(checked)]
    for layer, one in zip(kept, checked, strict=False):
        _set_layer(work, layer, *one)
    for layer in there[len(checked) :]:
        OnCallParticipant.objects.filter(layer_id=layer.pk).delete()
        layer.delete()
    top = kept[-1].position + 1 if kept else 0
    added = [_add_layer(work, schedule, top + number, *one) for number, one in enumerate(checked[len(kept) :])]
    return [*kept, *added]


def _told(rows: list[OnCallLayer], checked: Checked) -> list[dict[str, Any]]:
    """The rules of layers as the log keeps them: all but their names."""
    return [
        {
            "layer": row.pk,
            "time_zone": row.time_zone,
            "starts_on": row.starts_on.isoformat(),
            "handoff": row.handoff.isoformat("minutes"),
            "unit": str(row.unit),
            "every": row.every,
            "restrictions": row.restrictions,
            "participants": list(people),
        }
        for row, (_, people) in zip(rows, checked, strict=True)
    ]
