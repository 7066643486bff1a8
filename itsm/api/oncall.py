"""On-call schedules on the wire: what requests may hold, what answers hold, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rest_framework import serializers

from itsm.api.shapes import Named, OneOf, Outgoing, Reference, Shape, Text, When, Whole
from itsm.oncall.calendar_in import SIZE_MAX
from itsm.oncall.commands.importing import Review
from itsm.oncall.layers import LAYERS_MAX, PARTICIPANTS_MAX, LayerRules
from itsm.oncall.models import OnCallOverride, Unit
from itsm.oncall.rota import Shift
from itsm.oncall.schedules import Plan
from itsm.tenancy.models import Person

# --- What requests hold ----------------------------------------------------------------------------------------------


class LayerIn(Shape):
    """People who take turns. A turn ends at the next handoff by the wall clock of ``time_zone``."""

    name = Text(max_length=120)
    time_zone = Text(max_length=64)
    starts_on = serializers.DateField(help_text="The first turn begins on this day.")
    handoff = serializers.TimeField(input_formats=["%H:%M"], required=False, help_text="Wall time such as 09:00.")
    unit = OneOf(choices=Unit.values, required=False)
    every = Whole(min_value=1, max_value=168, required=False, help_text="How many hours, days or weeks a turn has.")
    participants = serializers.ListField(child=Reference(), min_length=1, max_length=PARTICIPANTS_MAX)
    restrictions = serializers.DictField(
        child=serializers.ListField(child=serializers.ListField(child=Text(max_length=5), max_length=2), max_length=24),
        required=False,
        help_text='When this layer is on call at all: {"mon": [["17:00", "09:00"]]}. Empty: always.',
    )


class NewSchedule(Shape):
    """A schedule. ``layers`` from the lowest to the highest; a later one covers an earlier one."""

    name = Text(max_length=120)
    description = Text(max_length=500, required=False)
    team = Reference(required=False, allow_null=True)
    layers = serializers.ListField(child=LayerIn(), required=False, max_length=LAYERS_MAX)


class ScheduleChange(Shape):
    """What changes; what is left out stays. ``layers`` replaces all of them, each position keeping its id."""

    name = Text(max_length=120, required=False)
    description = Text(max_length=500, required=False)
    team = Reference(required=False, allow_null=True)
    is_active = serializers.BooleanField(required=False)
    layers = serializers.ListField(child=LayerIn(), required=False, max_length=LAYERS_MAX)


class NewOverride(Shape):
    """Somebody else (or, with null, deliberately nobody) for a time."""

    starts_at = When()
    ends_at = When()
    person = Reference(allow_null=True)


class CalendarIn(Shape):
    """An iCalendar text. Without ``apply`` the answer only tells what would happen."""

    calendar = Text(max_length=SIZE_MAX)
    apply = serializers.BooleanField(required=False)


def command_fields(data: dict[str, Any]) -> dict[str, Any]:
    """A request body as the commands call its members."""
    fields = {{"team": "team_id", "is_active": "active"}.get(name, name): value for name, value in data.items()}
    if "layers" in fields:
        fields["layers"] = [LayerRules(**layer) for layer in fields["layers"]]
    return fields


# --- What answers hold -----------------------------------------------------------------------------------------------


class ParticipantOut(Outgoing):
    """A person in the order of turns. Who is not active any more is passed over."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    is_active = serializers.BooleanField()


class OnCallLayerOut(Outgoing):
    """A layer with its rules."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    time_zone = serializers.CharField()
    starts_on = serializers.DateField()
    handoff = serializers.CharField()
    unit = serializers.ChoiceField(choices=Unit.values)
    every = serializers.IntegerField()
    participants = ParticipantOut(many=True)
    restrictions = serializers.DictField()


class OnCallScheduleOut(Outgoing):
    """A schedule with its layers, the lowest first. ``revision`` is its ETag; overrides do not count it up."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    team = Named(allow_null=True)
    is_active = serializers.BooleanField()
    revision = serializers.IntegerField()
    layers = OnCallLayerOut(many=True)


class OnCallShiftOut(Outgoing):
    """A stretch of time with one answer. ``person`` null is a gap: nobody is on call."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    person = Named(allow_null=True)
    layer = Named(allow_null=True)
    override = serializers.UUIDField(allow_null=True)
    skipped = Named(many=True)


class OnCallShiftsOut(Outgoing):
    """The first level of a schedule without a hole; ``gaps`` are those shifts again in which nobody is on call."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    shifts = OnCallShiftOut(many=True)
    gaps = OnCallShiftOut(many=True)


class OnCallLevelOut(Outgoing):
    """Who is told when the level above does not answer. ``person`` null: deliberately nobody."""

    level = serializers.IntegerField()
    person = Named(allow_null=True)
    layer = Named(allow_null=True)
    override = serializers.UUIDField(allow_null=True)


class OnCallNowOut(Outgoing):
    """Who is on call at ``at``. ``skipped`` are those whose turn it would be and who have left."""

    at = serializers.DateTimeField()
    is_gap = serializers.BooleanField()
    levels = OnCallLevelOut(many=True)
    skipped = Named(many=True)


class OnCallOverrideOut(Outgoing):
    """An override. ``is_imported``: it came from a calendar and lies below those made by hand."""

    id = serializers.UUIDField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    person = Named(allow_null=True)
    is_imported = serializers.BooleanField()


class ImportedShiftOut(Outgoing):
    """A shift of a calendar."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    person = Named(allow_null=True)


class LeftOutOut(Outgoing):
    """An event that becomes no shift, and why."""

    event = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ReviewOut(Outgoing):
    """What the import would do or, with ``apply``, has done. Events after ``until`` are not read."""

    applied = serializers.BooleanField()
    until = serializers.DateTimeField()
    added = ImportedShiftOut(many=True)
    removed = ImportedShiftOut(many=True)
    kept = serializers.IntegerField()
    left_out = LeftOutOut(many=True)


# --- How they are written --------------------------------------------------------------------------------------------


def named(person: Person | None) -> dict[str, Any] | None:
    """A person by id and name."""
    return None if person is None else {"id": person.pk, "name": person.name}


def schedule_shown(plan: Plan) -> dict[str, Any]:
    """A schedule with its layers."""
    schedule = plan.schedule
    return {
        "id": schedule.pk,
        "name": schedule.name,
        "description": schedule.description,
        "team": {"id": schedule.team_id, "name": schedule.team.name} if schedule.team_id else None,
        "is_active": schedule.is_active,
        "revision": schedule.revision,
        "layers": [
            {
                "id": layer.pk,
                "name": layer.name,
                "time_zone": layer.time_zone,
                "starts_on": layer.starts_on,
                "handoff": layer.handoff.isoformat("minutes"),
                "unit": layer.unit,
                "every": layer.every,
                "participants": [
                    {"id": one.pk, "name": one.name, "is_active": one.pk not in plan.away}
                    for one in plan.participants(layer)
                ],
                "restrictions": layer.restrictions,
            }
            for layer in plan.layers
        ],
    }


def source_shown(plan: Plan, source: UUID | None, *, is_override: bool) -> dict[str, Any]:
    """What gives a shift: its layer by id and name, or the id of its override."""
    name = next((layer.name for layer in plan.layers if layer.pk == source), None)
    return {
        "layer": None if name is None or is_override else {"id": source, "name": name},
        "override": source if is_override else None,
    }


def shift_shown(plan: Plan, shift: Shift) -> dict[str, Any]:
    """A shift with the layer or override that gives it."""
    duty = shift.duty
    return {
        "starts_at": shift.start,
        "ends_at": shift.end,
        "person": named(plan.people.get(shift.person) if shift.person else None),
        **source_shown(plan, duty.source if duty else None, is_override=bool(duty and duty.is_override)),
        "skipped": [named(plan.people[one]) for one in shift.skipped],
    }


def override_shown(row: OnCallOverride, people: Mapping[UUID, Person]) -> dict[str, Any]:
    """An override with the name of its person."""
    return {
        "id": row.pk,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "person": named(people.get(row.person_id) if row.person_id else None),
        "is_imported": bool(row.source_key),
    }


def review_shown(review: Review, people: Mapping[UUID, Person]) -> dict[str, Any]:
    """What an import does."""
    return {
        "applied": review.applied,
        "until": review.until,
        "added": [
            {"starts_at": one.found.start, "ends_at": one.found.end, "person": named(one.person)}
            for one in review.added
        ],
        "removed": [
            {
                "starts_at": row.starts_at,
                "ends_at": row.ends_at,
                "person": named(people.get(row.person_id) if row.person_id else None),
            }
            for row in review.removed
        ],
        "kept": len(review.kept),
        "left_out": [{"event": one.what, "code": one.code, "detail": one.detail} for one in review.left_out],
    }
