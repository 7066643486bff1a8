"""Escalation policies, and the escalations of a ticket."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.access.decide import authorize
from itsm.api import queries
from itsm.api.concurrency import expected_version, tagged
from itsm.api.filters import yes_or_no
from itsm.api.pagination import PAGE_PARAMETERS, paginate
from itsm.api.queries import plain_id
from itsm.api.schema import PAGE_QUERY, operation, page_of, query
from itsm.api.shapes import Named, Outgoing, Reference, Shape, Text
from itsm.api.views.base import ApiView
from itsm.api.views.on_tickets import TicketView
from itsm.escalation import commands
from itsm.escalation.commands.policies import find_policy
from itsm.escalation.history import Taken, Told, escalations
from itsm.escalation.models import EscalationPolicy, RunState
from itsm.escalation.runs import current_version
from itsm.tickets.keyset import Sort

_TAG = "escalation-policies"


class TermsField(serializers.JSONField):
    """What a policy says. Its members are told in the guides; the command names each place that cannot be used."""


class NewEscalationPolicy(Shape):
    """A policy: ``terms`` holds triggers, steps, passes and what happens at the end."""

    name = Text(max_length=120)
    terms = TermsField()
    is_active = serializers.BooleanField(required=False)


class EscalationPolicyChange(Shape):
    """What changes; what is left out stays. Other ``terms`` are a new version, for runs that start from now on."""

    name = Text(max_length=120, required=False)
    terms = TermsField(required=False)
    is_active = serializers.BooleanField(required=False)


class EscalationPolicyOut(Outgoing):
    """A policy and the newest version of what it says. ``revision`` is its ETag, ``version`` that of its terms alone."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    is_active = serializers.BooleanField()
    revision = serializers.IntegerField()
    version = serializers.IntegerField()
    terms = TermsField()


class NewEscalation(Shape):
    """The policy to start."""

    policy = Reference()


class Acknowledgement(Shape):
    """One run; without it, all that run for the ticket."""

    run = Reference(required=False)


class _EscalationPolicyNamed(Named):
    """A policy, and the version of it under which the run goes on."""

    version = serializers.IntegerField()


class EscalationStepOut(Outgoing):
    """A step that was taken. ``instead``: who was asked before and was not there, and why."""

    loop = serializers.IntegerField()
    step = serializers.IntegerField(help_text="Counted from 0; one more than the last step when nobody answered.")
    due_at = serializers.DateTimeField()
    taken_at = serializers.DateTimeField()
    recipients = Named(many=True)
    actions = serializers.ListField(child=serializers.DictField())
    skipped = serializers.ListField(child=serializers.IntegerField())
    unmet = serializers.ListField(child=serializers.CharField())
    late = serializers.BooleanField()
    exhausted = serializers.BooleanField()


class EscalationOut(Outgoing):
    """One policy at work for one ticket. An acknowledged one asks again at ``next_due_at``, when that is not null."""

    id = serializers.UUIDField()
    policy = _EscalationPolicyNamed()
    state = serializers.ChoiceField(choices=RunState.values)
    reason = serializers.CharField()
    loop = serializers.IntegerField()
    next_due_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField()
    started_by = Named(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = Named(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    steps = EscalationStepOut(many=True)


class EscalationsOut(Outgoing):
    """The escalations of a ticket, newest first."""

    results = EscalationOut(many=True)


def _policy(policy: EscalationPolicy) -> dict[str, Any]:
    version = current_version(policy)
    return {
        "id": policy.pk,
        "name": policy.name,
        "is_active": policy.is_active,
        "revision": policy.revision,
        "version": version.version if version else 0,
        "terms": version.terms if version else {},
    }


def _named(row: Any) -> dict[str, Any] | None:
    return None if row is None else {"id": row.pk, "name": row.name}


def _run(told: Told) -> dict[str, Any]:
    run = told.run
    return {
        "id": run.pk,
        "policy": {"id": run.policy_id, "name": run.policy.name, "version": run.policy_version.version},
        "state": run.state,
        "reason": run.reason,
        "loop": run.loop,
        "next_due_at": run.next_due_at,
        "started_at": run.started_at,
        "started_by": _named(run.started_by),
        "acknowledged_at": run.acknowledged_at,
        "acknowledged_by": _named(run.acknowledged_by),
        "ended_at": run.ended_at,
        "steps": [_step(one) for one in told.steps],
    }


def _step(taken: Taken) -> dict[str, Any]:
    payload = taken.payload
    return {
        "loop": payload["loop"],
        "step": payload["step"],
        "due_at": payload["due_at"],
        "taken_at": taken.at,
        "recipients": [
            {"id": one, "name": person.name} for one, person in zip(payload["recipients"], taken.people, strict=True)
        ],
        "actions": payload["actions"],
        "skipped": payload.get("skipped", []),
        "unmet": payload.get("unmet", []),
        "late": payload.get("late", False),
        "exhausted": payload.get("exhausted", False),
    }


class PoliciesView(ApiView):
    """Policies, by name; adding one."""

    query_parameters: ClassVar[Collection[str]] = (*PAGE_PARAMETERS, "is_active")

    @operation(
        "GET",
        "escalation_policies_list",
        "List escalation policies",
        tag=_TAG,
        answer=page_of(EscalationPolicyOut),
        parameters=(*PAGE_QUERY, query("is_active", "Only those in use (or not).", kind={"type": "boolean"})),
    )
    def get(self, request: Request) -> Response:
        authorize(self.actor, "escalation.read")
        rows = EscalationPolicy.objects.filter(tenant_id=self.actor.tenant_id)
        if "is_active" in self.given:
            rows = rows.filter(is_active=yes_or_no("is_active", self.given["is_active"]))
        page = paginate(request, rows, self.given, Sort("name", "name", kind=str), _rows)
        return page.response([_policy(row["row"]) for row in page.rows])

    @operation(
        "POST",
        "escalation_policies_create",
        "Add an escalation policy",
        tag=_TAG,
        body=NewEscalationPolicy,
        answer=EscalationPolicyOut,
        status=201,
        tagged=True,
    )
    def post(self, request: Request) -> Response:
        data = self.body(NewEscalationPolicy)
        made = commands.create_policy(
            actor=self.actor, name=data["name"], terms=data["terms"], active=data.get("is_active", True)
        )
        response = _shown(made, 201)
        response["Location"] = request.build_absolute_uri(f"{request.path.rstrip('/')}/{made.pk}/")
        return response


def _rows(found: QuerySet[Any]) -> list[dict[str, Any]]:
    return [{"id": row.pk, "name": row.name, "row": row} for row in found]


class PolicyView(ApiView):
    """One policy."""

    @operation(
        "GET", "escalation_policies_get", "Read an escalation policy", tag=_TAG, answer=EscalationPolicyOut, tagged=True
    )
    def get(self, request: Request, key: str) -> Response:
        found = find_policy(self.actor, plain_id(key))
        authorize(self.actor, "escalation.read")
        return _shown(found)

    @operation(
        "PATCH",
        "escalation_policies_update",
        "Change an escalation policy",
        tag=_TAG,
        body=EscalationPolicyChange,
        answer=EscalationPolicyOut,
        guarded=True,
        tagged=True,
    )
    def patch(self, request: Request, key: str) -> Response:
        data = self.body(EscalationPolicyChange)
        fields = {("active" if name == "is_active" else name): value for name, value in data.items()}
        policy_id, seen = plain_id(key), expected_version(request)
        return _shown(commands.update_policy(actor=self.actor, policy_id=policy_id, expected_version=seen, **fields))


def _shown(policy: EscalationPolicy, status: int = 200) -> Response:
    return tagged(Response(_policy(policy), status=status), policy.revision)


class EscalationsView(TicketView):
    """Who was called for the ticket, and what became of it; starting a policy by hand."""

    operations: ClassVar = {
        "GET": {"name": "escalations_list", "summary": "List escalations", "answer": EscalationsOut},
        "POST": {
            "name": "escalations_create",
            "summary": "Start an escalation policy",
            "body": NewEscalation,
            "answer": EscalationOut,
            "status": 201,
        },
    }

    def get(self, request: Request, key: str) -> Response:
        ticket = queries.find_ticket(self.actor, key, self.kind)
        authorize(self.actor, "ticket.read_internal", ticket)
        return Response({"results": [_run(one) for one in escalations(self.actor, ticket)]})

    def post(self, request: Request, key: str) -> Response:
        data = self.body(NewEscalation)
        ticket_id = queries.find_id(self.actor, key, self.kind)
        run = commands.start_escalation(actor=self.actor, ticket_id=ticket_id, policy_id=data["policy"])
        ticket = queries.find_ticket(self.actor, key, self.kind)
        shown = next(one for one in escalations(self.actor, ticket) if one.run.pk == run.pk)
        return Response(_run(shown), status=201)


class AcknowledgeView(TicketView):
    """Somebody is on it: no further step is taken. Saying it again changes nothing."""

    operations: ClassVar = {
        "POST": {
            "name": "escalations_acknowledge",
            "summary": "Acknowledge escalations",
            "body": Acknowledgement,
            "answer": EscalationsOut,
        },
    }

    def post(self, request: Request, key: str) -> Response:
        data = self.body(Acknowledgement)
        ticket_id = queries.find_id(self.actor, key, self.kind)
        commands.acknowledge_escalation(actor=self.actor, ticket_id=ticket_id, run_id=data.get("run"))
        ticket = queries.find_ticket(self.actor, key, self.kind)
        return Response({"results": [_run(one) for one in escalations(self.actor, ticket)]})
