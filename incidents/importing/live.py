"""Importing incidents on which work goes on: by the commands of every door, which refuse what they always refuse."""

from __future__ import annotations

from incidents.commands import hold_incident, open_incident, start_incident
from incidents.flow import KIND, IncidentState
from incidents.importing.directory import Directory
from incidents.importing.history import Written, category_path, differs, known_cases
from incidents.importing.translate import Case
from itsm.access.decide import authorize
from itsm.events.history import History
from itsm.events.models import Event
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.tickets.models import SourceRecord


def import_live(*, actor: Actor, source: str, case: Case, directory: Directory) -> Written:
    """Open one incident as it stands in the other system, now, with channel ``import``; whole or not at all.

    Clocks start, policies and people hear of it, as of any new incident. One that is here already is skipped. Raises
    whatever the commands raise: an assignee must be an agent, Awaiting caller wants a comment.
    """
    with unit_of_work(actor) as work:
        authorize(actor, "incident.import", process=KIND)
        known = known_cases(actor.tenant_id, source, [case])
        if known:
            differing = (case,) if differs(case, known[case.number]) else ()
            return Written(there=1, differing=differing)
        now, step = case.now, case.steps[-1]
        history = History(actor.tenant_id, actor.name, actor.request_id)
        draft = directory.copy()
        draft.find_people((name for name in (now["requester"], now["assignee"]) if name), history)
        draft.find_teams([now["team"]] if now["team"] else [], history)
        path = category_path(now["category"], now["subcategory"])
        draft.find_categories([path] if path else [], history)
        ticket = open_incident(
            actor=actor,
            title=case.title,
            description=case.description,
            impact=now["impact"],
            urgency=now["urgency"],
            requester_id=draft.people.get(now["requester"]),
            assignee_id=draft.people.get(now["assignee"]),
            team_id=draft.teams.get(now["team"]),
            category_id=draft.categories[path] if path else None,
            channel="import",
        )
        if step.state == IncidentState.IN_PROGRESS:
            start_incident(actor=actor, ticket_id=ticket.pk)
        elif step.state == IncidentState.ON_HOLD:
            hold_incident(actor=actor, ticket_id=ticket.pk, hold_reason=step.hold_reason)
        work.add(
            SourceRecord(
                tenant_id=actor.tenant_id,
                source=source,
                number=case.number,
                state=step.source_state[:80],
                ticket_id=ticket.pk,
                digest=case.digest,
            )
        )
        work.flush()
        events = Event.objects.filter(tenant_id=actor.tenant_id, ticket_id=ticket.pk).count()
        history.write()
    directory.people, directory.teams, directory.categories = draft.people, draft.teams, draft.categories
    return Written(1, events)
