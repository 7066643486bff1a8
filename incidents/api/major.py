"""Major incidents over REST: declare one, lead it, tell people, stand it down, look back at it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from incidents import commands, majors
from incidents.api.views import TAG, VerbView, verb
from incidents.commands.major_people import ROLE_MAX, ROLES_MAX, STAKEHOLDERS_MAX
from incidents.commands.major_review import ACTION_MAX, ACTIONS_MAX, Action
from incidents.commands.major_updates import CHILDREN_MAX
from incidents.flow import KIND
from incidents.models import MajorState
from itsm.access.decide import authorize
from itsm.api import queries
from itsm.api.concurrency import expected_version, tagged
from itsm.api.schema import operation
from itsm.api.shapes import Named, Outgoing, Reference, Shape, Text
from itsm.api.views.base import ApiView
from itsm.kernel.errors import Problems
from itsm.tickets.fetch import read_ticket
from itsm.tickets.models import Ticket


class RoleShape(Shape):
    """Who has a role; null takes it away."""

    name = Text(max_length=ROLE_MAX)
    person = Reference(allow_null=True)


class MajorDeclaration(Shape):
    """Why, and who leads it: without a commander it is the caller."""

    reason = Text()
    commander = Reference(required=False, allow_null=True)
    roles = serializers.ListField(child=RoleShape(), required=False, max_length=ROLES_MAX)
    stakeholders = serializers.ListField(child=Reference(), required=False, max_length=STAKEHOLDERS_MAX)
    raise_priority = serializers.BooleanField(required=False, default=False)


class MajorStandDown(Shape):
    """Why it was none after all."""

    reason = Text()


class MajorRolesShape(Shape):
    """Who leads it, who has which role, who hears of it. What is not named stays; null takes it away."""

    commander = Reference(required=False, allow_null=True)
    roles = serializers.ListField(child=RoleShape(), required=False, max_length=ROLES_MAX)
    add_stakeholders = serializers.ListField(child=Reference(), required=False, max_length=STAKEHOLDERS_MAX)
    remove_stakeholders = serializers.ListField(child=Reference(), required=False, max_length=STAKEHOLDERS_MAX)


class MajorUpdateShape(Shape):
    """What everybody concerned reads. Markdown."""

    body = Text()


class ChildrenShape(Shape):
    """Incidents to put below this one, by id or number. All or none."""

    children = serializers.ListField(child=Text(max_length=40), max_length=CHILDREN_MAX)


class ActionShape(Shape):
    """What shall be done, by whom, until which day."""

    text = Text(max_length=ACTION_MAX)
    owner = Reference()
    due_on = serializers.DateField()


class MajorReviewShape(Shape):
    """What went well, what did not, why, and what is done about it."""

    went_well = Text()
    went_badly = Text()
    causes = Text()
    actions = serializers.ListField(child=ActionShape(), required=False, max_length=ACTIONS_MAX)


class MajorUpdateOut(Outgoing):
    """News that was sent. ``body`` is null when it has been removed."""

    id = serializers.UUIDField()
    sent_at = serializers.DateTimeField()
    author = Named(allow_null=True)
    body = serializers.CharField(allow_null=True)
    recipients = serializers.IntegerField(help_text="How many persons it was for.")


class MajorUpdatesOut(Outgoing):
    """All news, newest first, and when the next is due."""

    results = MajorUpdateOut(many=True)
    next_update_due = serializers.DateTimeField(allow_null=True)


class MajorPersonOut(Named):
    """Somebody who was named. Updates do not reach whoever has left or may not read the incident: make him a watcher."""

    reachable = serializers.BooleanField()
    unreachable_because = serializers.ChoiceField(choices=["inactive", "no_right"], allow_null=True)


class MajorRoleOut(Outgoing):
    """Who has a role."""

    name = serializers.CharField()
    person = MajorPersonOut()


class MajorRolesOut(Outgoing):
    """Who leads it, who has which role, who hears of it."""

    commander = Named(allow_null=True)
    roles = MajorRoleOut(many=True)
    stakeholders = MajorPersonOut(many=True)
    allowed_verbs = serializers.ListField(
        child=serializers.ChoiceField(choices=["declare", "update", "roles", "review", "stand_down"])
    )


class MajorActionOut(Outgoing):
    """What the review decided. ``text`` is null when it has been removed."""

    id = serializers.UUIDField()
    text = serializers.CharField(allow_null=True)
    owner = Named()
    due_on = serializers.DateField()


class MajorReviewOut(Outgoing):
    """The review: due, or done. Texts are null before, and when they have been removed."""

    state = serializers.ChoiceField(choices=MajorState.values)
    due_at = serializers.DateTimeField(allow_null=True)
    reviewed_at = serializers.DateTimeField(allow_null=True)
    went_well = serializers.CharField(allow_null=True)
    went_badly = serializers.CharField(allow_null=True)
    causes = serializers.CharField(allow_null=True)
    actions = MajorActionOut(many=True)


def _roles(given: list[dict[str, Any]]) -> dict[str, Any]:
    problems, found = Problems(), {}
    for index, one in enumerate(given):
        if one["name"] in found:
            problems.add(f"roles/{index}/name", "taken", "This role is named twice.")
        found[one["name"]] = one["person"]
    problems.raise_if_any()
    return found


def _declare(view: ApiView, given: dict[str, Any], **common: Any) -> Ticket:
    return commands.declare_major(
        **common,
        reason=given["reason"],
        commander_id=given.get("commander"),
        roles=_roles(given.get("roles", [])),
        stakeholder_ids=given.get("stakeholders", ()),
        raise_priority=given["raise_priority"],
    )


def _children(view: ApiView, given: dict[str, Any], **common: Any) -> Ticket:
    # What the address names comes before what the body names.
    read_ticket(view.actor, common["ticket_id"], KIND)
    found = [queries.ticket_id(view.actor, "children", child) for child in given["children"]]
    return commands.attach_children(**common, child_ids=found)


#: Address → view, like those of the incident itself.
VERBS: dict[str, type[VerbView]] = {
    "declare-major": verb("declare-major", "Lead it as a major incident", MajorDeclaration, _declare),
    "children": verb("children", "Put incidents below this one", ChildrenShape, _children),
    "stand-down": verb(
        "stand-down",
        "It was no major incident after all",
        MajorStandDown,
        lambda v, g, **c: commands.stand_down_major(**c, **g),
    ),
}


class MajorView(ApiView):
    """A part of how an incident is led; for readers of internal notes."""

    def ticket(self, key: str) -> Ticket:
        authorize(self.actor, "ticket.read")
        return queries.find_ticket(self.actor, key, KIND)

    def led(self, key: str) -> Ticket:
        ticket = self.ticket(key)
        authorize(self.actor, "ticket.read_internal", ticket)
        return ticket


class MajorUpdatesView(MajorView):
    """The news about a major incident. Whoever reads the incident reads them."""

    @operation("GET", "incidents_major_updates", "News about a major incident", tag=TAG, answer=MajorUpdatesOut)
    def get(self, request: Request, key: str) -> Response:
        return Response(_updates(self, self.ticket(key)))

    @operation(
        "POST",
        "incidents_major_update",
        "Tell everybody concerned",
        tag=TAG,
        body=MajorUpdateShape,
        answer=MajorUpdateOut,
        status=201,
    )
    def post(self, request: Request, key: str) -> Response:
        given = self.body(MajorUpdateShape)
        pk = queries.find_id(self.actor, key, KIND)
        ticket = commands.send_major_update(actor=self.actor, ticket_id=pk, body=given["body"])
        response = Response(_update(majors.updates(ticket)[0]), status=201)
        response["Location"] = request.path
        return response


class MajorRolesView(MajorView):
    """Who leads a major incident, and who hears of it."""

    @operation("GET", "incidents_major_roles", "Who leads it", tag=TAG, answer=MajorRolesOut, tagged=True)
    def get(self, request: Request, key: str) -> Response:
        ticket = self.led(key)
        return tagged(Response(_people(self, ticket)), ticket.version)

    @operation(
        "POST",
        "incidents_major_roles_change",
        "Change who leads it, who has which role and who hears of it",
        tag=TAG,
        body=MajorRolesShape,
        answer=MajorRolesOut,
        guarded=True,
        tagged=True,
    )
    def post(self, request: Request, key: str) -> Response:
        given = self.body(MajorRolesShape)
        commander = {"commander_id": given["commander"]} if "commander" in given else {}
        pk = queries.find_id(self.actor, key, KIND)
        ticket = commands.change_major_roles(
            actor=self.actor,
            ticket_id=pk,
            roles=_roles(given.get("roles", [])),
            add_stakeholders=given.get("add_stakeholders", ()),
            remove_stakeholders=given.get("remove_stakeholders", ()),
            expected_version=expected_version(request),
            **commander,
        )
        return tagged(Response(_people(self, ticket)), ticket.version)


class MajorReviewView(MajorView):
    """Looking back at a major incident."""

    @operation("GET", "incidents_major_review", "The review", tag=TAG, answer=MajorReviewOut, tagged=True)
    def get(self, request: Request, key: str) -> Response:
        ticket = self.led(key)
        return tagged(Response(_review(ticket)), ticket.version)

    @operation(
        "POST",
        "incidents_major_review_write",
        "Write the review, which ends the major incident",
        tag=TAG,
        body=MajorReviewShape,
        answer=MajorReviewOut,
        guarded=True,
        tagged=True,
    )
    def post(self, request: Request, key: str) -> Response:
        given = self.body(MajorReviewShape)
        ticket = commands.review_major(
            actor=self.actor,
            ticket_id=queries.find_id(self.actor, key, KIND),
            went_well=given["went_well"],
            went_badly=given["went_badly"],
            causes=given["causes"],
            actions=[Action(one["text"], one["owner"], one["due_on"]) for one in given.get("actions", [])],
            expected_version=expected_version(request),
        )
        return tagged(Response(_review(ticket)), ticket.version)


def _updates(view: ApiView, ticket: Ticket) -> dict[str, Any]:
    return {
        "results": [_update(one) for one in majors.updates(ticket)],
        "next_update_due": majors.next_update_due(ticket),
    }


def _update(one: majors.Update) -> dict[str, Any]:
    return {
        "id": one.id,
        "sent_at": one.sent_at,
        "author": {"id": one.author_id, "name": one.author} if one.author_id else None,
        "body": one.body or None,
        "recipients": one.recipients,
    }


def _people(view: ApiView, ticket: Ticket) -> dict[str, Any]:
    major = majors.major_of(ticket)
    commander, roles = major.commander if major else None, majors.roles_of(ticket)
    return {
        "commander": {"id": commander.pk, "name": commander.name} if commander else None,
        "roles": [
            {"name": row.name, "person": _person(one)}
            for row, one in zip(roles, majors.reached(ticket, roles), strict=True)
        ],
        "stakeholders": [_person(one) for one in majors.reached(ticket, majors.stakeholders(ticket))],
        "allowed_verbs": majors.verbs_of(view.actor, ticket, major),
    }


def _person(named: majors.Named) -> dict[str, Any]:
    person = named.row.person
    return {
        "id": person.pk,
        "name": person.name,
        "reachable": not named.unreachable,
        "unreachable_because": named.unreachable or None,
    }


def _review(ticket: Ticket) -> dict[str, Any]:
    major, review = majors.major_of(ticket), majors.review_of(ticket)
    return {
        "state": major.state if major else MajorState.STOOD_DOWN,
        "due_at": major.review_due_at if major else None,
        "reviewed_at": major.reviewed_at if major else None,
        "went_well": review.went_well or None if review else None,
        "went_badly": review.went_badly or None if review else None,
        "causes": review.causes or None if review else None,
        "actions": [
            {
                "id": one.pk,
                "text": one.text or None,
                "owner": {"id": one.owner_id, "name": one.owner.name},
                "due_on": one.due_on,
            }
            for one in (review.actions if review else [])
        ],
    }
