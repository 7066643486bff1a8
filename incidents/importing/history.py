"""The one bulk command: incidents that another system has finished recording, written as they were.

History is recorded, not decided: flow, policies, clocks, subscribers and deliveries do not act on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from incidents.flow import FLOW, KIND
from incidents.importing.directory import CategoryPath, Directory
from incidents.importing.translate import Case
from itsm.access.decide import authorize
from itsm.events.history import History, PastEvent
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.ids import new_id
from itsm.sla.history import backfill
from itsm.tenancy.bulk import hexed, insert_rows
from itsm.tickets.models import Audience, SourceRecord
from itsm.tickets.numbering import take_numbers

_TICKET = {
    **dict.fromkeys(("id", "requester_id", "opened_by_id", "assignee_id", "team_id", "category_id"), "uuid"),
    **dict.fromkeys(("number", "title", "description", "state_category", "channel"), "text"),
    **dict.fromkeys(("state", "impact", "urgency", "priority", "reopen_count", "reassignment_count"), "smallint"),
    **dict.fromkeys(("opened_at", "updated_at", "resolved_at", "closed_at"), "timestamptz"),
    **dict.fromkeys(("version", "last_sequence"), "int"),
    "last_digest": "bytea",
}
_INCIDENT = {
    **dict.fromkeys(("ticket_id", "resolved_by_id", "closed_by_id"), "uuid"),
    **dict.fromkeys(("hold_reason", "close_code", "close_notes"), "text"),
}
_RECORD = {"id": "uuid", "number": "text", "state": "text", "ticket_id": "uuid", "digest": "bytea"}
_SEARCH = {"id": "uuid", "ticket_id": "uuid", "words": "text"}
_PEOPLE = ("requester", "assignee")


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch came to: cases and events written, cases that were here already, and those of them that differ."""

    cases: int = 0
    events: int = 0
    there: int = 0
    differing: tuple[Case, ...] = ()


def import_history(*, actor: Actor, source: str, cases: Sequence[Case], directory: Directory) -> Written:
    """Write these cases with their whole history, in one short transaction; those that are here already are skipped.

    A case is known by (source, number). One whose rows differ from those imported before is left as it is and answered
    in ``differing``: history is not rewritten. Raises Forbidden. ``directory`` is brought up to date after the commit.
    """
    with unit_of_work(actor):
        authorize(actor, "incident.import", process=KIND)
        numbers = [case.number for case in cases]
        records = SourceRecord.objects.filter(tenant_id=actor.tenant_id, source=source, number__in=numbers)
        known = {number: bytes(digest) for number, digest in records.values_list("number", "digest")}
        new = [case for case in cases if case.number not in known]
        differing = tuple(case for case in cases if case.number in known and differs(case, known[case.number]))
        if not new:
            return Written(there=len(cases), differing=differing)
        history = History(actor.tenant_id, actor.name, actor.request_id)
        draft = directory.copy()
        _know(draft, new, history)
        batch = _Batch(actor, source, draft, history)
        for case, number in zip(new, take_numbers(actor.tenant_id, KIND, len(new)), strict=True):
            batch.add(case, number)
        batch.insert()
        history.write()
        backfill(actor.tenant_id, [ticket["id"] for ticket in batch.tickets])
    directory.people, directory.teams, directory.categories = draft.people, draft.teams, draft.categories
    return Written(len(new), sum(len(case.steps) for case in new), len(cases) - len(new), differing)


def known_cases(tenant_id: UUID, source: str, cases: Sequence[Case]) -> dict[str, bytes]:
    """Number and digest of those of ``cases`` that were imported before."""
    records = SourceRecord.objects.filter(
        tenant_id=tenant_id, source=source, number__in=[case.number for case in cases]
    )
    return {number: bytes(digest) for number, digest in records.values_list("number", "digest")}


def differs(case: Case, digest: bytes) -> bool:
    """Whether the case's rows are others than those imported; unknown (so no) once its texts were removed."""
    return digest not in (b"", case.digest)


def _know(directory: Directory, cases: Iterable[Case], history: History) -> None:
    """Resolve every name that these cases mention, each kind by one query and one insert."""
    people: set[str | None] = set()
    teams: set[str | None] = set()
    paths: set[CategoryPath] = set()
    for case in cases:
        people |= {case.opened_by, case.resolved_by, case.closed_by}
        root = sub = None
        for step in case.steps:
            people.add(step.by)
            changes = step.changes
            for name in _PEOPLE:
                if name in changes:
                    people.add(changes[name][1])
            if "team" in changes:
                teams.add(changes["team"][1])
            if "category" in changes or "subcategory" in changes:
                root = changes["category"][1] if "category" in changes else root
                sub = changes["subcategory"][1] if "subcategory" in changes else sub
                paths |= {path for path in [category_path(root, sub)] if path}
    directory.find_people((name for name in people if name), history)
    directory.find_teams((name for name in teams if name), history)
    directory.find_categories(paths, history)


def category_path(root: str | None, sub: str | None) -> CategoryPath | None:
    """The most exact category that the two columns name."""
    if root is None:
        return (None, sub) if sub is not None else None
    return (root, sub) if sub is not None else (None, root)


class _Batch:
    """The rows of one transaction, by table."""

    def __init__(self, actor: Actor, source: str, directory: Directory, history: History) -> None:
        self.actor, self.source, self.directory, self.history = actor, source, directory, history
        self.tickets: list[dict[str, Any]] = []
        self.incidents: list[dict[str, Any]] = []
        self.records: list[dict[str, Any]] = []
        self.search: list[dict[str, Any]] = []

    def add(self, case: Case, number: str) -> None:
        """Build the rows of one case."""
        pk = new_id()
        last, category_id = self._events(case, pk)
        people, step, now = self.directory.people, case.steps[-1], case.now
        self.tickets.append(
            {
                "id": pk,
                "number": number,
                "title": case.title,
                "description": case.description,
                "state": step.state,
                "state_category": FLOW.state(step.state).category.value,
                "impact": now["impact"],
                "urgency": now["urgency"],
                "priority": now["priority"],
                "requester_id": people.get(now["requester"]),
                "opened_by_id": people.get(case.opened_by or ""),
                "assignee_id": people.get(now["assignee"]),
                "team_id": self.directory.teams.get(now["team"]),
                "category_id": category_id,
                "channel": now["channel"],
                "opened_at": case.opened_at,
                "updated_at": step.at,
                "resolved_at": case.resolved_at,
                "closed_at": case.closed_at,
                "reopen_count": case.reopen_count,
                "reassignment_count": case.reassignment_count,
                "version": len(case.steps),
                "last_sequence": last.sequence,
                "last_digest": hexed(last.digest),
            }
        )
        self.incidents.append(
            {
                "ticket_id": pk,
                "hold_reason": step.hold_reason,
                "close_code": case.close_code,
                "close_notes": case.close_notes,
                "resolved_by_id": people.get(case.resolved_by or ""),
                "closed_by_id": people.get(case.closed_by or ""),
            }
        )
        self.records.append(
            {
                "id": new_id(),
                "number": case.number,
                "state": step.source_state[:80],
                "ticket_id": pk,
                "digest": hexed(case.digest),
            }
        )
        words = f"{number} {case.number} {case.title} {case.description}"
        self.search.append({"id": new_id(), "ticket_id": pk, "words": words})

    def _events(self, case: Case, ticket_id: UUID) -> tuple[PastEvent, UUID | None]:
        """Chain the steps (there is at least one) as events; answers the last, and the category that the case ends with."""
        people, append = self.directory.people, self.history.append
        last: PastEvent = None  # type: ignore[assignment]
        state: int | None = None
        root = sub = None
        category_id: UUID | None = None
        for position, step in enumerate(case.steps):
            payload: dict[str, Any] = {
                "state": [state, step.state],
                "source": {"state": step.source_state, **step.kept},
            }
            if step.hold_reason:
                payload["hold_reason"] = step.hold_reason
            if step.changes:
                changes = {
                    name: [self._plain(name, old), self._plain(name, new)]
                    for name, (old, new) in step.changes.items()
                    if name not in {"category", "subcategory"}
                }
                if "category" in step.changes or "subcategory" in step.changes:
                    root = step.changes["category"][1] if "category" in step.changes else root
                    sub = step.changes["subcategory"][1] if "subcategory" in step.changes else sub
                    path = category_path(root, sub)
                    before, category_id = category_id, self.directory.categories[path] if path else None
                    changes["category"] = [before and str(before), category_id and str(category_id)]
                payload["changes"] = changes
            texts = case.texts if position == len(case.steps) - 1 else None
            if texts and case.close_notes and case.resolved_by:
                # Whose words the notes are, for erasure: the incident forgets it when it is reopened.
                payload["resolved_by"] = str(people[case.resolved_by])
            last = append(
                "incident.imported",
                step.at,
                payload,
                ticket_id=ticket_id,
                after=last,
                actor_id=people.get(step.by) if step.by else None,
                texts=texts,
            )
            state = step.state
        return last, category_id

    def _plain(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        if name in _PEOPLE:
            return str(self.directory.people[value])
        return str(self.directory.teams[value]) if name == "team" else value

    def insert(self) -> None:
        """Write everything but the events, which refer to the tickets."""
        tenant = {"tenant_id": self.actor.tenant_id}
        insert_rows("tickets_ticket", _TICKET, self.tickets, {**tenant, "kind": KIND})
        insert_rows("incidents_incident", _INCIDENT, self.incidents, tenant)
        record = {**tenant, "source": self.source, "imported_at": self.history.recorded_at}
        insert_rows("tickets_sourcerecord", _RECORD, self.records, record)
        insert_rows("tickets_ticketsearch", _SEARCH, self.search, {**tenant, "audience": Audience.PUBLIC.value})
