"""Open clocks after their policies changed: each ticket is asked again what it is promised, as if one of its fields had changed.

In batches with a transaction each; a ticket that was asked already answers the same again, so that whoever was interrupted
begins anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from uuid import UUID

from django.db.models import Exists, OuterRef

from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.sla.book import Trees, book
from itsm.sla.calendar import to_micros
from itsm.sla.course import Course
from itsm.sla.facts import Fact
from itsm.sla.follow import past_facts, write
from itsm.sla.models import SlaClock, SlaPolicy
from itsm.sla.rows import locked_clocks
from itsm.tenancy.context import tenant
from itsm.tickets.models import OPEN_CATEGORIES, Ticket

#: Tickets that a command asks itself, before it answers; the rest follows by the event that it wrote.
AT_ONCE = 500
_BATCH = 200
_OPEN = ("running", "paused")


def rematch_metric(tenant_id: UUID, metric: str, *, most: int | None = None, budget: float | None = None) -> int:
    """Ask every ticket with an open clock of this metric again. Answers how many were asked."""
    return _all(tenant_id, {"metric": metric}, lambda course, fact: course.ask_again(fact, "policy"), most, budget)


def withdraw_policy(tenant_id: UUID, policy_id: UUID, *, most: int | None = None, budget: float | None = None) -> int:
    """Take the open clocks of a policy that is out of use away from it: to the next one that means them, or to an end."""
    return _all(
        tenant_id, {"policy_id": policy_id}, lambda course, fact: course.withdraw(policy_id, fact), most, budget
    )


def withdraw_inactive(tenant_id: UUID, *, budget: float | None = None) -> int:
    """The same for every policy that is out of use and still has open clocks: who was interrupted, or came too late."""
    with tenant(tenant_id):
        inactive = list(SlaPolicy.objects.filter(is_active=False).values_list("pk", flat=True))
        left = [pk for pk in inactive if SlaClock.objects.filter(policy_id=pk, state__in=_OPEN).exists()]
    return sum(withdraw_policy(tenant_id, pk, budget=budget) for pk in left)


def start_missing(tenant_id: UUID) -> int:
    """Give open tickets that have no clock at all those that policies promise, as if they had held from the beginning.

    What is overdue by then fires at the next sweep. Answers how many tickets were looked at.
    """
    asked, after = 0, UUID(int=0)
    while True:
        with unit_of_work(Actor.system(tenant_id, "sla")) as work:
            without = ~Exists(SlaClock.objects.filter(ticket_id=OuterRef("pk")))
            rows = Ticket.objects.filter(without, pk__gt=after, state_category__in=OPEN_CATEGORIES)
            tickets = list(rows.select_for_update(no_key=True, of=("self",)).order_by("pk")[:_BATCH])
            now, the_book = to_micros(work.now), cache(lambda: replace(book(tenant_id), trees=Trees()))
            for ticket in tickets:
                course = Course(tenant_id, ticket, the_book, [], partial(past_facts, tenant_id, ticket))
                course.take(Fact(now, None, changed=frozenset({"policy"})))
                write(work, course)
        asked += len(tickets)
        if len(tickets) < _BATCH:
            return asked
        after = tickets[-1].pk


def _same(organisation_id: UUID | None) -> UUID | None:
    return organisation_id


def _all(
    tenant_id: UUID,
    which: dict[str, object],
    ask: Callable[[Course, Fact], None],
    most: int | None,
    budget: float | None,
) -> int:
    """All such tickets, in the order of their ids, which is also the order in which they are locked."""
    asked, after = 0, UUID(int=0)
    until = None if budget is None else time.monotonic() + budget
    while (most is None or asked < most) and (until is None or time.monotonic() < until):
        size = _BATCH if most is None else min(_BATCH, most - asked)
        with unit_of_work(Actor.system(tenant_id, "sla")) as work:
            clocks = SlaClock.objects.filter(state__in=_OPEN, ticket_id__gt=after, **which)
            ids = list(clocks.order_by("ticket_id").values_list("ticket_id", flat=True).distinct()[:size])
            tickets = list(Ticket.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk"))
            now, the_book = to_micros(work.now), cache(lambda: replace(book(tenant_id), trees=Trees()))
            for ticket in tickets:
                past = partial(past_facts, tenant_id, ticket)
                rows, organisation_id = locked_clocks(ticket)
                course = Course(tenant_id, ticket, the_book, rows, past, partial(_same, organisation_id))
                ask(course, Fact(now, None))
                write(work, course)
        asked += len(ids)
        if len(ids) < size:
            break
        after = ids[-1]
    return asked
