"""Search: one function in the database, one here. Fed from the outbox, at most about two seconds behind."""

from __future__ import annotations

from uuid import UUID

from django.db import connection
from django.db.models import BooleanField, Func, Q, Value

from itsm.access.catalogue import Reach
from itsm.access.decide import kinds_within, reach, visible_to
from itsm.events.models import Event
from itsm.kernel.actor import Actor
from itsm.tickets.models import Audience, Comment, SourceRecord, Ticket, TicketSearch

LIMIT = 50
#: Longest text indexed per ticket and audience; tsvector itself ends at 1 MB.
_WORDS_MAX = 200_000

_UPSERT = """
INSERT INTO tickets_ticketsearch (id, tenant_id, ticket_id, audience, words) VALUES (gen_random_uuid(), %s, %s, %s, %s)
ON CONFLICT (tenant_id, ticket_id, audience) DO UPDATE SET words = EXCLUDED.words
"""


def index_event(event: Event) -> None:
    """Consumer: bring the ticket's words up to date. Idempotent: it reads the ticket as it is now."""
    if event.ticket_id is not None:
        index_ticket(event.ticket_id)


def index_ticket(ticket_id: UUID) -> None:
    """Write the public and the internal words of a ticket."""
    with connection.cursor() as cursor:
        # Of two who index the same ticket at once, the one that read last must write last: else removed words come back.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"index of {ticket_id}"])
    ticket = Ticket.objects.filter(pk=ticket_id).first()
    if ticket is None:
        return
    comments = Comment.objects.filter(ticket_id=ticket_id).order_by("created_at")
    words = {audience: [c.body for c in comments if c.audience == audience] for audience in Audience.values}
    numbers = SourceRecord.objects.filter(ticket_id=ticket_id).values_list("number", flat=True)
    words[Audience.PUBLIC] = [ticket.number, *numbers, ticket.title, ticket.description, *words[Audience.PUBLIC]]
    with connection.cursor() as cursor:
        for audience, parts in words.items():
            if parts:
                cursor.execute(_UPSERT, [ticket.tenant_id, ticket.pk, audience, " ".join(parts)[:_WORDS_MAX]])
    for audience, parts in words.items():
        if not parts:
            TicketSearch.objects.filter(ticket_id=ticket_id, audience=audience).delete()


def hits(actor: Actor, query: str, *, limit: int) -> Q:
    """The condition of being among the newest ``limit`` tickets that match all words and that the actor may find by them.

    Tenant, team and audience apply before the limit. The database function runs as the owner, because row-level security
    would keep the word index from being used; it takes the tenant from the transaction itself, never from an argument.
    Use it with visible_to(), which has the last word.
    """
    text = query.replace("\x00", " ").strip()
    if not text or reach(actor, "ticket.read") is Reach.NONE:
        return Q(pk__in=[])
    kinds, internal = kinds_within(actor, "ticket.read"), kinds_within(actor, "ticket.read_internal")
    arguments = (
        text[:400],
        None if kinds is None else sorted(kinds),
        None if internal is None else sorted(internal),
        sorted(actor.hidden_teams),
        actor.person_id,
        limit,
    )
    # As an array, so that it is asked for once and the tickets are then fetched by their ids.
    found = Func(
        *(Value(argument) for argument in arguments),
        template='"tickets_ticket"."id" = ANY (ARRAY(SELECT ticket_id FROM itsm_search(%(expressions)s)))',
        output_field=BooleanField(),
    )
    return Q(found)


def search_tickets(actor: Actor, query: str, *, limit: int = LIMIT) -> list[UUID]:
    """Ids of visible tickets that match all words, newest first."""
    found = visible_to(actor, Ticket.objects.filter(hits(actor, query, limit=limit)))
    return list(found.order_by("-pk").values_list("pk", flat=True))
