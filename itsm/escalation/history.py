"""The escalations of a ticket as they are read: each run with what it did and whom it told. Shared by page and API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from itsm.access.decide import allows
from itsm.escalation.models import EscalationRun, RunState
from itsm.events.kinds import current
from itsm.events.models import Event
from itsm.kernel.actor import Actor
from itsm.tenancy.models import Person
from itsm.tickets.models import Ticket

_STEP = "escalation.step_taken"


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was taken, or passed over. ``payload`` is that of its event."""

    at: datetime
    payload: Mapping[str, Any]
    people: tuple[Person, ...]

    @property
    def number(self) -> int:
        """As people count."""
        return int(self.payload["step"]) + 1


@dataclass(slots=True)
class Told:
    """One run and its steps, oldest first. ``next_step`` is the number of the one that comes next, as people count."""

    run: EscalationRun
    steps: list[Taken] = field(default_factory=list)

    @property
    def is_running(self) -> bool:
        return bool(self.run.state == RunState.RUNNING)

    @property
    def next_step(self) -> int | None:
        due = [(instant, number) for number, instant in enumerate(self.run.step_due, start=1) if instant is not None]
        return min(due)[1] if due and self.is_running and self.run.next_due_at is not None else None

    @property
    def next_is_the_end(self) -> bool:
        """Whether no step comes any more: nobody has answered then, and the policy does what it says for that."""
        number = self.next_step
        return number is not None and number > len(self.run.policy_version.terms.get("steps", ()))


def escalations(actor: Actor, ticket: Ticket, limit: int = 50) -> list[Told]:
    """The runs of a ticket that the actor has fetched through visible_to(), newest first; none for who does not work on it."""
    if not allows(actor, "ticket.read_internal", ticket):
        return []
    runs = EscalationRun.objects.filter(tenant_id=actor.tenant_id, ticket_id=ticket.pk)
    related = ("policy", "policy_version", "acknowledged_by", "started_by")
    found = {str(run.pk): Told(run) for run in runs.select_related(*related).order_by("-started_at", "-pk")[:limit]}
    if not found:
        return []
    events = list(Event.objects.filter(tenant_id=actor.tenant_id, ticket_id=ticket.pk, kind=_STEP).order_by("sequence"))
    payloads = [(event, current(event.kind, event.version, event.payload)) for event in events]
    wanted = {UUID(str(one)) for _, payload in payloads for one in payload["recipients"]}
    rows = Person.objects.filter(tenant_id=actor.tenant_id, pk__in=wanted) if wanted else ()
    people: dict[str, Person] = defaultdict(Person, {str(person.pk): person for person in rows})
    for event, payload in payloads:
        if payload["run"] in found:
            told = tuple(people[one] for one in payload["recipients"])
            found[payload["run"]].steps.append(Taken(event.occurred_at, payload, told))
    return list(found.values())
