"""A ticket as one line of a list: the few columns that a list shows, with names instead of ids, read by one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet


@dataclass(slots=True)
class Line:
    """One ticket of a list. ``requester``, ``assignee``, ``team`` and ``service`` are names, empty without one."""

    pk: UUID
    kind: str
    number: str
    title: str
    state: int
    state_category: str
    priority: int
    opened_at: datetime
    updated_at: datetime
    due_at: datetime | None
    team_id: UUID | None
    requester: str
    assignee: str
    team: str
    service: str


# Which tickets, in which order, is the queryset's to say.
_LINES = """
SELECT t.id, t.kind, t.number, t.title, t.state, t.state_category, t.priority, t.opened_at, t.updated_at, t.due_at, t.team_id,
  coalesce(r.name, ''), coalesce(a.name, ''), coalesce(m.name, ''), coalesce(s.name, '')
FROM (SELECT *, row_number() OVER () AS place FROM (%(chosen)s) page) chosen
JOIN tickets_ticket t ON t.tenant_id = chosen.tenant_id AND t.id = chosen.id
LEFT JOIN tenancy_person r ON r.tenant_id = t.tenant_id AND r.id = t.requester_id
LEFT JOIN tenancy_person a ON a.tenant_id = t.tenant_id AND a.id = t.assignee_id
LEFT JOIN tenancy_team m ON m.tenant_id = t.tenant_id AND m.id = t.team_id
LEFT JOIN tickets_service s ON s.tenant_id = t.tenant_id AND s.id = t.service_id
ORDER BY chosen.place
"""


#: Selects the tenant and the id of tickets: the SQL and its values.
Statement = tuple[str, tuple[Any, ...]]


def statement_of(tickets: QuerySet[Any]) -> Statement | None:
    """How the database is asked for these tickets; None where it need not be."""
    try:
        chosen, params = tickets.values("tenant_id", "id").query.sql_with_params()
    except EmptyResultSet:
        return None
    return chosen, tuple(params)


def lines(chosen: str, params: Sequence[Any]) -> list[Line]:
    """The tickets of a statement with an order and a limit, in its order."""
    with connection.cursor() as cursor:
        cursor.execute(_LINES.replace("%(chosen)s", chosen), params)
        return [Line(*row) for row in cursor.fetchall()]
