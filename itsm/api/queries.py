"""From the query string and from references in bodies to tickets, through the one queue query and through visibility."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from itsm.access.decide import visible_to
from itsm.api.filters import instant
from itsm.kernel.actor import Actor
from itsm.kernel.errors import FieldProblem, Invalid, NotFound
from itsm.kernel.ids import is_uuid
from itsm.tickets import queue
from itsm.tickets.fetch import read_ticket
from itsm.tickets.models import Ticket

#: Filters of a list of tickets.
NAMES = (
    "q",
    "state",
    "state_category",
    "priority",
    "team",
    "assignee",
    "requester",
    "service",
    "category",
    "parent",
    "major",
    "updated_since",
    "opened_since",
)


def tickets(actor: Actor, given: Mapping[str, str], kind: str) -> QuerySet[Any]:
    """The visible tickets of a kind that the filters mean. Raises Invalid naming each parameter that cannot be used."""
    filters = {name: given[name] for name in NAMES if name in given}
    for name in ("updated_since", "opened_since"):
        if name in filters:
            filters[name] = instant(name, filters[name]).isoformat()
    empty = [
        FieldProblem(f"?{name}", "empty", f"{name} has no value. Leave it out or give it one.")
        for name, value in filters.items()
        if not value.strip(", ")
    ]
    if empty:
        raise Invalid(empty)
    try:
        query = queue.parse(actor, {name: [value] for name, value in filters.items()})
    except Invalid as error:
        found = [FieldProblem(f"?{p.pointer.removeprefix('/')}", p.code, p.detail) for p in error.problems]
        raise Invalid(found, error.detail) from None
    return queue.tickets_for(actor, replace(query, kinds=(kind,)))


def ticket_id(actor: Actor, field: str, value: str) -> UUID:
    """The id that a body's reference means: an id as it is, a human number looked up among the visible tickets."""
    if is_uuid(value):
        return UUID(value)
    found = None
    if value.isascii() and value.isalnum():
        found = visible_to(actor, Ticket.objects.filter(number=value.upper())).values_list("pk", flat=True).first()
    if found is None:
        raise Invalid.one(
            field, "unknown_reference", f"{field} must be the id or the number of a ticket that you can see."
        )
    return UUID(str(found))


def plain_id(value: str) -> UUID:
    """The id in an address. Raises NotFound for what is none."""
    if not is_uuid(value):
        raise NotFound
    return UUID(value)


def find_id(actor: Actor, key: str, kind: str) -> UUID:
    """The id of the visible ticket that an address names by its id or its number. Raises NotFound for anything else.

    An id is not looked up here: the command or the query that uses it goes through visibility anyway.
    """
    if is_uuid(key):
        return UUID(key)
    if not (key.isascii() and key.isalnum() and len(key) <= 40):
        raise NotFound
    tickets = visible_to(actor, Ticket.objects.filter(kind=kind, number=key.upper()))
    found = tickets.values_list("pk", flat=True).first()
    if found is None:
        raise NotFound
    return UUID(str(found))


def find_ticket(actor: Actor, key: str, kind: str) -> Ticket:
    """The visible ticket that an address names. Raises NotFound."""
    return read_ticket(actor, find_id(actor, key, kind), kind)
