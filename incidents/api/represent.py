"""An incident as the API shows it: written field by field from plain rows, with a fixed number of queries a page."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from incidents.flow import FLOW, KIND
from incidents.verbs import Row, allowed_verbs
from itsm.access.catalogue import Reach
from itsm.access.decide import allows, reach, visible_to
from itsm.kernel.actor import Actor
from itsm.kernel.errors import NotFound
from itsm.tenancy.models import Organisation, Person, Team
from itsm.tickets.links import links_of
from itsm.tickets.models import Category, Service, Ticket, Watcher
from itsm.tickets.placement import placement_hidden

_OWN = (
    *("id", "number", "title", "description", "state", "state_category", "impact", "urgency", "priority", "channel"),
    *("requester_id", "assignee_id", "team_id", "service_id", "category_id"),
    *("due_at", "opened_at", "updated_at", "resolved_at", "closed_at", "reopen_count", "version"),
    *("opened_by_id", "reassignment_count", "parent_id", "duplicate_of_id"),
)
#: How a major incident is led: (member, column). Null throughout for one that is none.
_MAJOR = (
    ("state", "m.state"),
    ("declared_at", "m.declared_at"),
    ("commander_id", "m.commander_id"),
    ("commander__name", "c.name"),
    ("review_due_at", "m.review_due_at"),
    ("next_update_due", "n.due_at"),
)
_DETAILS = ("hold_reason", "close_code", "close_notes")
_TABLES = {
    "requester": "tenancy_person",
    "assignee": "tenancy_person",
    "team": "tenancy_team",
    "service": "tickets_service",
    "category": "tickets_category",
}
#: What a row has; ``linked`` says whether there are links to fetch.
_MEMBERS = (
    *_OWN,
    *_DETAILS,
    *(f"{name}__name" for name in _TABLES),
    *(f"major__{name}" for name, _ in _MAJOR),
    "linked",
)
_JOINS = " ".join(
    f"LEFT JOIN {table} {name} ON {name}.tenant_id = t.tenant_id AND {name}.id = t.{name}_id"
    for name, table in _TABLES.items()
)
# Which tickets, in which order, is the queryset's to say; what is read of them never changes, so it is written out once.
_ROWS = f"""
SELECT {", ".join(f"t.{name}" for name in _OWN)}, {", ".join(f"i.{name}" for name in _DETAILS)},
  {", ".join(f"{name}.name" for name in _TABLES)}, {", ".join(column for _, column in _MAJOR)},
  EXISTS (SELECT FROM tickets_ticketlink l WHERE l.tenant_id = t.tenant_id AND l.source_id = t.id)
    OR EXISTS (SELECT FROM tickets_ticketlink l WHERE l.tenant_id = t.tenant_id AND l.target_id = t.id)
FROM (SELECT *, row_number() OVER () AS place FROM (%(chosen)s) page) chosen
JOIN tickets_ticket t ON t.tenant_id = chosen.tenant_id AND t.id = chosen.id
LEFT JOIN incidents_incident i ON i.tenant_id = t.tenant_id AND i.ticket_id = t.id
LEFT JOIN incidents_majorincident m ON t.is_major AND m.tenant_id = t.tenant_id AND m.ticket_id = t.id
LEFT JOIN tenancy_person c ON c.tenant_id = m.tenant_id AND c.id = m.commander_id
LEFT JOIN sla_slaclock n ON t.is_major AND n.tenant_id = t.tenant_id AND n.ticket_id = t.id AND n.metric = 'cadence'
  AND n.state IN ('running', 'paused')
{_JOINS}
ORDER BY chosen.place
"""
_REFERENCES = tuple(_TABLES)
#: Members that only readers of internal notes get.
INTERNAL = ("opened_by", "parent", "duplicate_of", "reassignment_count")
FIELDS = (
    "id",
    "number",
    "title",
    "description",
    "state",
    "state_label",
    "state_category",
    "hold_reason",
    "impact",
    "urgency",
    "priority",
    *_REFERENCES,
    "channel",
    "opened_at",
    "updated_at",
    "due_at",
    "resolved_at",
    "closed_at",
    "close_code",
    "close_notes",
    "reopen_count",
    "version",
    "major",
    "allowed_verbs",
    "links",
    *INTERNAL,
)
#: What ``expand`` can replace by the whole object, and the permission that it needs.
EXPAND = {
    "requester": "person.read",
    "assignee": "person.read",
    "team": "team.read",
    "service": "service.read",
    "category": "category.read",
}


def rows_of(tickets: QuerySet[Any]) -> list[dict[str, Any]]:
    """The plain rows of a page, with the incident's part and the names of what they refer to, in one statement."""
    try:
        chosen, params = tickets.values("tenant_id", "id").query.sql_with_params()
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_ROWS.replace("%(chosen)s", chosen), params)
        return [dict(zip(_MEMBERS, row, strict=True)) for row in cursor.fetchall()]


def represent(
    actor: Actor,
    rows: list[dict[str, Any]],
    *,
    fields: Collection[str] = FIELDS,
    expand: Collection[str] = (),
) -> list[dict[str, Any]]:
    """The rows as the API shows them to this actor."""
    ids = [row["id"] for row in rows]
    links = links_of(actor, ids) if "links" in fields and any(row["linked"] for row in rows) else {}
    whole = {name: _WHOLE[name](actor, {row[f"{name}_id"] for row in rows} - {None}) for name in expand}
    rights = _Rights(actor, rows)
    return [_one(rights, row, links.get(row["id"], []), fields, whole) for row in rows]


class _Rights:
    """What the actor may do with the rows of one page. Rows that are alike in what decides are asked about once."""

    def __init__(self, actor: Actor, rows: list[dict[str, Any]]) -> None:
        self.actor = actor
        self._known: dict[tuple[Any, ...], tuple[list[str], bool]] = {}
        others = [row["id"] for row in rows if row["requester_id"] != actor.person_id]
        self._watched: set[UUID] = set()
        if others and actor.person_id and reach(actor, "ticket.read", KIND) is not Reach.ALL:
            watching = Watcher.objects.filter(
                tenant_id=actor.tenant_id, person_id=actor.person_id, ticket_id__in=others
            )
            self._watched = set(watching.values_list("ticket_id", flat=True))

    def of(self, row: dict[str, Any]) -> tuple[list[str], bool]:
        """The allowed verbs, and whether the internal side may be read."""
        own = row["requester_id"] is not None and row["requester_id"] == self.actor.person_id
        watched, hidden = row["id"] in self._watched, placement_hidden(self.actor, row["team_id"])
        mine = row["assignee_id"] is not None and row["assignee_id"] == self.actor.person_id
        led = row["major__state"] is not None
        key = (row["state"], row["state_category"], own, watched, hidden, mine, led)
        if key not in self._known:
            one = Row(
                row["id"],
                row["requester_id"],
                row["assignee_id"],
                row["team_id"],
                row["state"],
                row["state_category"],
                watched,
                is_major=led,
            )
            self._known[key] = (allowed_verbs(self.actor, one), allows(self.actor, "ticket.read_internal", one))
        return self._known[key]


def _one(
    rights: _Rights,
    row: dict[str, Any],
    links: list[dict[str, Any]],
    fields: Collection[str],
    whole: dict[str, dict[UUID, dict[str, Any]]],
) -> dict[str, Any]:
    state = FLOW.state(row["state"])
    verbs, internal = rights.of(row)
    shown: dict[str, Any] = {name: row[name] for name in fields if name in row}
    shown["id"] = row["id"]
    if "state_label" in fields:
        shown["state_label"] = str(state.label)
    hidden = placement_hidden(rights.actor, row["team_id"])
    for name in _REFERENCES:
        if name in fields:
            covered = hidden and name in {"team", "assignee"}
            shown[name] = None if covered else _reference(row, name, whole.get(name))
    for name in _DETAILS:
        if name in fields:
            shown[name] = row[name] or None
    if "major" in fields:
        shown["major"] = _major(row, internal) if row["major__state"] else None
    if "allowed_verbs" in fields:
        shown["allowed_verbs"] = verbs
    if "links" in fields:
        shown["links"] = links
    if internal:
        for name in ("opened_by", "parent", "duplicate_of"):
            if name in fields:
                shown[name] = row[f"{name}_id"]
    else:
        shown.pop("reassignment_count", None)
    return shown


def _major(row: dict[str, Any], internal: bool) -> dict[str, Any]:
    """How far it is, and when news is due; who leads it is the desk's affair."""
    shown = {name: row[f"major__{name}"] for name in ("state", "declared_at", "next_update_due")}
    if internal:
        commander = row["major__commander_id"]
        shown["commander"] = {"id": commander, "name": row["major__commander__name"]} if commander else None
        shown["review_due_at"] = row["major__review_due_at"]
    return shown


def _reference(row: dict[str, Any], name: str, whole: dict[UUID, dict[str, Any]] | None) -> dict[str, Any] | None:
    value = row[f"{name}_id"]
    if value is None:
        return None
    if whole is not None and value in whole:
        return whole[value]
    return {"id": value, "name": row[f"{name}__name"]}


def show(
    actor: Actor, ticket_id: UUID, *, fields: Collection[str] = FIELDS, expand: Collection[str] = ()
) -> dict[str, Any]:
    """One incident. Raises NotFound when the actor does not see it."""
    rows = rows_of(visible_to(actor, Ticket.objects.filter(pk=ticket_id, kind=KIND)))
    if not rows:
        raise NotFound
    return represent(actor, rows, fields=fields, expand=expand)[0]


def _people(actor: Actor, ids: set[UUID]) -> dict[UUID, dict[str, Any]]:
    rows = Person.objects.filter(tenant_id=actor.tenant_id, pk__in=ids).values(
        "id", "name", "email_key", "organisation_id"
    )
    found = {row["id"]: row for row in rows}
    organisations = dict(
        Organisation.objects.filter(
            tenant_id=actor.tenant_id, pk__in={row["organisation_id"] for row in found.values()} - {None}
        ).values_list("pk", "name")
    )
    return {
        pk: {
            "id": pk,
            "name": row["name"],
            "email": row["email_key"],
            "organisation": {"id": row["organisation_id"], "name": organisations.get(row["organisation_id"], "")}
            if row["organisation_id"]
            else None,
        }
        for pk, row in found.items()
    }


def _plain(model: type[Any], *columns: str) -> Callable[[Actor, set[UUID]], dict[UUID, dict[str, Any]]]:
    def load(actor: Actor, ids: set[UUID]) -> dict[UUID, dict[str, Any]]:
        return {
            row["id"]: row for row in model.objects.filter(tenant_id=actor.tenant_id, pk__in=ids).values("id", *columns)
        }

    return load


_WHOLE: dict[str, Callable[[Actor, set[UUID]], dict[UUID, dict[str, Any]]]] = {
    "requester": _people,
    "assignee": _people,
    "team": _plain(Team, "name", "description", "is_restricted", "is_active"),
    "service": _plain(Service, "name", "description", "is_active"),
    "category": _plain(Category, "name", "parent_id", "is_active"),
}
