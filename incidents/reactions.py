"""What incidents do by themselves when something happens, in the transaction in which it happens. Wired in config/wiring.py."""

from __future__ import annotations

from django.db import connection

from incidents.commands.closing import resolve_incident
from incidents.commands.working import hold_incident, resume_incident, start_incident
from incidents.flow import FLOW, KIND, IncidentState
from incidents.models import HoldReason, Incident, MajorAction, MajorIncident, MajorRole
from itsm.events.models import Event, EventText
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel.actor import Actor
from itsm.tickets.models import Audience, Ticket

_HAS_CHILDREN = "SELECT 1 FROM tickets_ticket WHERE tenant_id = %s AND parent_id = %s LIMIT 1"


def resume_on_reply(work: UnitOfWork, event: Event) -> None:
    """The requester's reply ends Awaiting caller."""
    if event.payload["audience"] != Audience.PUBLIC or event.actor_id is None or event.ticket_id is None:
        return
    if event.cause_id is not None:
        return  # The message that came with putting it on hold, by an agent who is the requester too.
    ticket = Ticket.objects.filter(pk=event.ticket_id, kind=KIND, state=IncidentState.ON_HOLD).first()
    if ticket is None or ticket.requester_id != event.actor_id:
        return
    if Incident.objects.filter(pk=ticket.pk, hold_reason=HoldReason.CALLER).exists():
        system = Actor.system(work.actor.tenant_id, "resume_on_reply")
        resume_incident(actor=system, ticket_id=ticket.pk, cause=event)


def remove_notes(_work: UnitOfWork, event: Event) -> None:
    """The resolution notes go with the other texts of the ticket, or with those of the person who wrote them."""
    if event.ticket_id is None:
        return
    notes = Incident.objects.filter(ticket_id=event.ticket_id)
    if person := event.payload.get("person"):
        notes = notes.filter(resolved_by_id=person)
    notes.update(close_notes="")


def remove_imported_notes(work: UnitOfWork, event: Event) -> None:
    """Notes that an erased person wrote in another system, where the import recorded them as nobody's act."""
    person = event.payload["person"]
    noted = EventText.objects.filter(field="close_notes", event__kind="incident.imported")
    noted = noted.filter(event__payload__resolved_by=person)
    of = set(noted.values_list("event__ticket_id", flat=True))
    of |= set(Incident.objects.filter(resolved_by_id=person).exclude(close_notes="").values_list("pk", flat=True))
    for ticket in Ticket.objects.select_for_update(no_key=True).filter(pk__in=of).order_by("pk"):
        texts = noted.filter(event__ticket_id=ticket.pk)
        EventText.objects.filter(pk__in=list(texts.values_list("pk", flat=True))).delete()
        work.emit("ticket.texts_removed", ticket, reason="erasure", person=person)


def cascade_to_children(work: UnitOfWork, event: Event) -> None:
    """Children follow their parent into In Progress, On Hold (except awaiting caller) and Resolved."""
    with connection.cursor() as cursor:
        # Asked of every ticket, and nearly none has any: not worth a query that is built each time.
        cursor.execute(_HAS_CHILDREN, [event.tenant_id, event.ticket_id])
        if cursor.fetchone() is None:
            return
    # Under lock: what a child allows must still hold when its turn comes, or the parent would be refused for it.
    children = Ticket.objects.select_for_update(no_key=True).filter(parent_id=event.ticket_id, kind=KIND).order_by("pk")
    system = Actor.system(work.actor.tenant_id, "follow_parent")
    for child in children:
        allowed = FLOW.allowed(child.state)
        if event.kind == "incident.started" and "start" in allowed:
            start_incident(actor=system, ticket_id=child.pk, cause=event)
        elif event.kind == "incident.resumed" and "resume" in allowed:
            if not Incident.objects.filter(pk=child.pk, hold_reason=HoldReason.CALLER).exists():
                resume_incident(actor=system, ticket_id=child.pk, cause=event)
        elif event.kind == "incident.held" and "hold" in allowed:
            reason = event.payload["hold_reason"]
            if reason != HoldReason.CALLER:
                hold_incident(actor=system, ticket_id=child.pk, hold_reason=reason, cause=event)
        elif event.kind == "incident.resolved" and "resolve" in allowed:
            parent = Incident.objects.get(pk=event.ticket_id)
            resolve_incident(
                actor=system,
                ticket_id=child.pk,
                close_code=event.payload["close_code"],
                close_notes=parent.close_notes,
                cause=event,
                words_of=parent.resolved_by_id,
            )


def copy_update(work: UnitOfWork, event: Event) -> None:
    """News about a major incident reaches the timeline of each child, for whoever asked there."""
    children = Ticket.objects.select_for_update(no_key=True).filter(pk__in=event.payload["children"]).order_by("pk")
    body = EventText.objects.filter(event_id=event.pk, field="body").values_list("text", flat=True).first()
    if not event.payload["children"] or not body:
        return
    with unit_of_work(Actor.system(work.actor.tenant_id, "copy_update"), cause=event) as copying:
        for child in children:
            copying.emit(
                "incident.major_update_copied", child, major=event.ticket_id, update=event.pk, texts={"body": body}
            )


def remove_major_texts(_work: UnitOfWork, event: Event) -> None:
    """What a major incident keeps beside its events goes with its texts, or with those of the person who wrote it.

    With all of them go the copies of its updates on children; a person's own ones erasure finds from their cause.
    """
    if event.ticket_id is None or not MajorIncident.objects.filter(pk=event.ticket_id).exists():
        return
    actions = MajorAction.objects.filter(ticket_id=event.ticket_id)
    roles = MajorRole.objects.filter(ticket_id=event.ticket_id)
    if person := event.payload.get("person"):
        actions, roles = actions.filter(author_id=person), roles.filter(author_id=person)
    else:
        for sent in Event.objects.filter(ticket_id=event.ticket_id, kind="incident.major_update_sent"):
            copies = Event.objects.filter(ticket_id__in=sent.payload["children"], cause_id=sent.pk)
            EventText.objects.filter(event_id__in=list(copies.values_list("pk", flat=True))).delete()
    actions.update(text="")
    roles.delete()
