"""Shapes of incidents on the wire: what requests may hold, and what answers hold (for the OpenAPI document)."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from incidents.commands.closing import RESOLUTION_CODES
from incidents.commands.opening import CHANNELS
from incidents.flow import FLOW
from incidents.models import CloseCode, HoldReason, MajorState
from incidents.verbs import ALL
from itsm.api.shapes import Named, OneOf, Outgoing, Reference, Shape, Text, Whole
from itsm.api.views.on_tickets import LinkOut
from itsm.kernel.texts import TITLE_MAX
from itsm.tickets.models import StateCategory


class Level(Whole):
    """1 (high), 2 (medium) or 3 (low)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=3, **kwargs)


class NewIncident(Shape):
    """An incident to log. Priority follows from impact and urgency; without a requester it is the caller's own."""

    remedies: ClassVar = {
        "state": "A new incident is New. Use the verbs to move it.",
        "priority": "priority follows from impact and urgency.",
    }
    title = Text(max_length=TITLE_MAX)
    description = Text(required=False)
    impact = Level(required=False, default=3)
    urgency = Level(required=False, default=3)
    service = Reference(required=False, allow_null=True)
    category = Reference(required=False, allow_null=True)
    team = Reference(required=False, allow_null=True)
    assignee = Reference(required=False, allow_null=True)
    requester = Reference(required=False, allow_null=True)
    channel = OneOf(choices=sorted(CHANNELS), required=False, default="api")


class IncidentChanges(Shape):
    """Fields to change; what is not sent stays, null empties. A state is never patched."""

    remedies: ClassVar = {
        "state": "A state is changed by its verb, such as POST …/resolve/, never by PATCH.",
        "priority": "priority follows from impact and urgency.",
        "assignee": "Use POST …/assign/.",
        "team": "Use POST …/assign/.",
        "parent": "Use POST …/parent/.",
    }
    title = Text(max_length=TITLE_MAX, required=False, allow_blank=False)
    description = Text(required=False)
    impact = Level(required=False)
    urgency = Level(required=False)
    service = Reference(required=False, allow_null=True)
    category = Reference(required=False, allow_null=True)
    requester = Reference(required=False)


class Assignment(Shape):
    """Who works on it. Send one or both; null takes it away from them."""

    team = Reference(required=False, allow_null=True)
    assignee = Reference(required=False, allow_null=True)


class Hold(Shape):
    """Why it waits. ``awaiting_caller`` demands a comment, which the requester reads."""

    hold_reason = OneOf(choices=HoldReason.values)
    comment = Text(required=False)


class Resolution(Shape):
    """How it was solved; both are mandatory."""

    close_code = OneOf(choices=RESOLUTION_CODES)
    close_notes = Text()


class Reason(Shape):
    """Why."""

    reason = Text()


class Merge(Shape):
    """The incident that goes on."""

    into = Text(max_length=40)


class FollowUp(Shape):
    """What is new; without it the words of the closed incident are taken over."""

    title = Text(max_length=TITLE_MAX, required=False)
    description = Text(required=False)


class Parent(Shape):
    """The incident to follow (id or number), or null for none."""

    parent = Text(max_length=40, allow_null=True)  # type: ignore[assignment]


class MajorOut(Outgoing):
    """How an incident is led as a major one."""

    state = serializers.ChoiceField(choices=MajorState.values)
    declared_at = serializers.DateTimeField()
    next_update_due = serializers.DateTimeField(allow_null=True, help_text="Null when none is owed.")
    commander = Named(allow_null=True, required=False, help_text="Readers of internal notes only.")
    review_due_at = serializers.DateTimeField(
        allow_null=True, required=False, help_text="Readers of internal notes only."
    )


class IncidentOut(Outgoing):
    """An incident. With ``fields`` only the named members are there; ``id`` always is. With ``expand`` references are whole."""

    id = serializers.UUIDField()
    number = serializers.CharField(required=False)
    title = serializers.CharField(required=False)
    description = serializers.CharField(required=False)
    state = serializers.ChoiceField(choices=sorted(FLOW.states), required=False, help_text="ServiceNow's code.")
    state_label = serializers.CharField(required=False, help_text="The state in the caller's language.")
    state_category = serializers.ChoiceField(choices=StateCategory.values, required=False)
    hold_reason = serializers.ChoiceField(choices=HoldReason.values, allow_null=True, required=False)
    impact = serializers.IntegerField(min_value=1, max_value=3, required=False)
    urgency = serializers.IntegerField(min_value=1, max_value=3, required=False)
    priority = serializers.IntegerField(min_value=1, max_value=5, required=False)
    requester = Named(allow_null=True, required=False)
    assignee = Named(allow_null=True, required=False)
    team = Named(allow_null=True, required=False)
    service = Named(allow_null=True, required=False)
    category = Named(allow_null=True, required=False)
    channel = serializers.CharField(required=False)
    opened_at = serializers.DateTimeField(required=False)
    updated_at = serializers.DateTimeField(required=False)
    due_at = serializers.DateTimeField(allow_null=True, required=False)
    resolved_at = serializers.DateTimeField(allow_null=True, required=False)
    closed_at = serializers.DateTimeField(allow_null=True, required=False)
    close_code = serializers.ChoiceField(choices=CloseCode.values, allow_null=True, required=False)
    close_notes = serializers.CharField(allow_null=True, required=False)
    reopen_count = serializers.IntegerField(required=False)
    version = serializers.IntegerField(required=False)
    major = MajorOut(allow_null=True, required=False, help_text="Null unless it is led as a major incident.")
    allowed_verbs = serializers.ListField(child=serializers.ChoiceField(choices=list(ALL)), required=False)
    links = LinkOut(many=True, required=False)
    opened_by = serializers.UUIDField(allow_null=True, required=False, help_text="Readers of internal notes only.")
    parent = serializers.UUIDField(allow_null=True, required=False, help_text="Readers of internal notes only.")  # type: ignore[assignment]
    duplicate_of = serializers.UUIDField(allow_null=True, required=False, help_text="Readers of internal notes only.")
    reassignment_count = serializers.IntegerField(required=False, help_text="Readers of internal notes only.")
