"""The timeline: what it says to whom, and that its price does not grow with the story."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from incidents import commands
from itsm.events.kinds import KINDS
from itsm.events.models import EventText
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.tickets.commands import (
    assign_ticket,
    attach_file,
    comment_on_ticket,
    link_tickets,
    set_parent,
    update_ticket,
    watch_ticket,
)
from itsm.tickets.commands.configuration import update_settings
from itsm.tickets.commands.erasure import erase_person, retire_texts
from itsm.tickets.models import Service, Ticket
from itsm.tickets.timeline import RENDERERS, Entry, timeline
from tests.factories import Desk


def told(desk: Desk, who: str, ticket: Ticket) -> list[Entry]:
    return timeline(desk.actor(who), ticket)


def sentences(entries: list[Entry]) -> list[str]:
    return [
        " ".join(
            filter(None, [e.who.split()[0], e.text, *(f"[{c.label}: {c.old} → {c.new}]" for c in e.changes), e.because])
        )
        for e in entries
    ]


def test_names_instead_of_ids_and_old_beside_new(inside: Desk) -> None:
    ticket = inside.incident(description="It *burns*")
    agent = inside.actor("agent")
    service = Service.objects.create(tenant_id=inside.tenant.pk, name="Printing")
    commands.take_incident(actor=agent, ticket_id=ticket.pk)
    update_ticket(actor=agent, ticket_id=ticket.pk, impact=1, service_id=service.pk, title="Fire")
    commands.hold_incident(actor=agent, ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="Which one?")
    comment_on_ticket(actor=inside.actor("requester"), ticket_id=ticket.pk, body="The red one")
    commands.resolve_incident(actor=agent, ticket_id=ticket.pk, close_code="solution_provided", close_notes="Water")
    whole = told(inside, "agent", ticket)
    entries = [entry for entry in whole if not entry.kind.startswith("sla.")]
    assert [entry.kind for entry in whole if entry not in entries] == ["sla.retargeted"], "another priority"
    assert sentences(entries) == [
        "requester opened the incident",
        "agent changed the assignment [Team:  → network] [Assignee:  → agent of acme]",
        "agent started work [State: New → In Progress]",
        "agent changed the ticket [Title:  → Fire] [Impact: 3 → 1] [Priority: P5 → P3] [Service:  → Printing]",
        "agent put the incident on hold [State: In Progress → On Hold] [Reason:  → Awaiting caller]",
        "agent replied",
        "requester replied",
        "Automatic resumed work [State: On Hold → In Progress] because the requester replied",
        "agent resolved the incident [State: In Progress → Resolved] [Resolution code:  → Solution provided]",
    ]
    assert (entries[0].body, entries[5].body, entries[-1].body) == ("It *burns*", "Which one?", "Water")


def test_a_long_story_is_read_in_parts(inside: Desk) -> None:
    ticket, agent, requester = inside.incident(), inside.actor("agent"), inside.actor("requester")
    for number in range(2, 12):
        comment_on_ticket(
            actor=agent, ticket_id=ticket.pk, body=str(number), audience="internal" if number % 2 else "public"
        )

    def parts(who: Actor, **given: Any) -> list[int]:
        return [entry.sequence for entry in timeline(who, ticket, **given)]

    assert parts(agent, limit=3) == [1, 2, 3]
    assert parts(agent, after=3, limit=2) == [4, 5]
    assert parts(agent, limit=3, newest=True) == [9, 10, 11]
    assert parts(agent, after=9) == [10, 11]
    assert parts(agent, limit=0) == []
    assert parts(requester) == [1, 2, 4, 6, 8, 10]
    assert parts(requester, limit=3) == [1, 2, 4]
    assert parts(requester, after=2, limit=2) == [4, 6]
    assert parts(requester, limit=2, newest=True) == [8, 10]


def test_requesters_read_the_public_side_only(inside: Desk) -> None:
    ticket = inside.incident()
    agent = inside.actor("agent")
    other = inside.incident("colleague", title="Secret of somebody else")
    comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="They did it again", audience="internal")
    attach_file(
        actor=agent, ticket_id=ticket.pk, name="dossier.txt", content=BytesIO(b"x"), size=1, audience="internal"
    )
    attach_file(actor=agent, ticket_id=ticket.pk, name="howto.txt", content=BytesIO(b"y"), size=1)
    link_tickets(actor=agent, ticket_id=ticket.pk, target_id=other.pk)
    watch_ticket(actor=agent, ticket_id=ticket.pk, person_id=inside.people["colleague"].pk)
    set_parent(actor=agent, ticket_id=ticket.pk, parent_id=other.pk)
    assign_ticket(actor=agent, ticket_id=ticket.pk, team_id=inside.teams["apps"].pk)
    assert sentences(told(inside, "requester", ticket)) == ["requester opened the incident", "agent attached a file"]
    assert [f.name for e in told(inside, "requester", ticket) for f in e.files] == ["howto.txt"]
    full = told(inside, "agent", ticket)
    assert [f.name for e in full for f in e.files] == ["dossier.txt", "howto.txt"]
    assert [e.sequence for e in full if e.internal] == [2, 3, 5, 6, 7, 8]
    # The tenant admin configures the desk and reads no notes.
    assert len(told(inside, "admin", ticket)) == 2


def test_what_the_reader_may_not_see_has_no_name(inside: Desk) -> None:
    ticket, hidden = inside.incident(), inside.incident()
    hr = inside.actor("hr")
    assign_ticket(actor=hr, ticket_id=hidden.pk, team_id=inside.teams["hr"].pk)
    link_tickets(actor=hr, ticket_id=ticket.pk, target_id=hidden.pk)
    assign_ticket(actor=hr, ticket_id=ticket.pk, team_id=inside.teams["hr"].pk)
    assign_ticket(actor=hr, ticket_id=ticket.pk, team_id=inside.teams["apps"].pk)
    assert sentences(told(inside, "agent", ticket))[1:] == [
        "hr added the link: relates to another ticket",
        "hr changed the assignment [Team:  → a restricted team]",
        "hr changed the assignment [Team: a restricted team → apps]",
    ]
    assert "relates to INC0001002" in sentences(told(inside, "hr", ticket))[1]


def test_erased_text_shows_as_removed(inside: Desk) -> None:
    ticket = inside.incident()
    comment_on_ticket(actor=inside.actor("agent"), ticket_id=ticket.pk, body="My number is 0123")
    EventText.objects.filter(field="body").delete()
    last = told(inside, "agent", ticket)[-1]
    assert (last.body, last.removed) == ("", True)


@pytest.mark.parametrize("kind", sorted(name for name in KINDS if name.startswith(("ticket.", "incident."))))
def test_every_kind_on_a_ticket_is_told_in_words(kind: str) -> None:
    assert kind in RENDERERS, f"agents would read “recorded {kind}”; requesters would read nothing"


def test_a_stripped_ticket_says_so_to_everybody(acme: Desk) -> None:
    """What one person wrote may have been notes alone: that is told to the desk only."""
    own, other = acme.incident("requester"), acme.incident("colleague")
    comment_on_ticket(actor=acme.actor("requester"), ticket_id=own.pk, body="Mine")
    comment_on_ticket(actor=acme.actor("agent"), ticket_id=other.pk, body="Ours")
    update_settings(actor=acme.system, retention_days=30)
    commands.cancel_incident(actor=acme.actor("agent"), ticket_id=other.pk, reason="Nothing")
    with clock.at(clock.now() + timedelta(days=31)):
        assert retire_texts(actor=Actor.system(acme.tenant.pk, "retention")) == 1
    erase_person(actor=acme.actor("admin"), person_id=acme.people["requester"].pk)
    kept = acme.incident("colleague")
    comment_on_ticket(actor=acme.actor("hr"), ticket_id=kept.pk, body="Theirs")
    erase_person(actor=acme.actor("admin"), person_id=acme.people["hr"].pk)
    with acme.inside():
        assert sentences(told(acme, "agent", own))[-1] == "admin removed the texts, because the requester was erased"
        assert sentences(told(acme, "colleague", other))[-1] == (
            "Automatic removed the texts, because they are kept no longer"
        )
        assert sentences(told(acme, "agent", kept))[-1] == "admin removed the texts of a person who was erased"
        assert sentences(told(acme, "colleague", kept))[-1] == "[removed] replied"
        with translation.override("de"):
            assert told(acme, "agent", own)[-1].text == "hat die Texte entfernt, weil der Melder gelöscht wurde"


def test_children_say_why(inside: Desk) -> None:
    agent = inside.actor("agent")
    parent, child = inside.incident(), inside.incident()
    set_parent(actor=agent, ticket_id=child.pk, parent_id=parent.pk)
    commands.start_incident(actor=agent, ticket_id=parent.pk)
    assert told(inside, "agent", child)[-1].because == "because work on the parent started"


def test_who_may_know_a_cause_is_read_in_its_shape_of_today(inside: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket, requester = inside.incident(), inside.actor("requester")
    commands.hold_incident(
        actor=inside.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="Which one?"
    )
    comment_on_ticket(actor=requester, ticket_id=ticket.pk, body="The red one")
    assert told(inside, "requester", ticket)[-1].because == "because the requester replied"
    upcasters = {1: lambda payload: {**payload, "audience": "internal"}}
    monkeypatch.setitem(KINDS, "ticket.commented", replace(KINDS["ticket.commented"], version=2, upcasters=upcasters))
    assert told(inside, "requester", ticket)[-1].text == "resumed work"
    assert told(inside, "requester", ticket)[-1].because == ""


def test_the_number_of_queries_is_constant(inside: Desk) -> None:
    agent = inside.actor("agent")
    ticket = inside.incident()
    comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="one")
    with CaptureQueriesContext(connection) as few:
        timeline(agent, ticket)
    for number in range(12):
        comment_on_ticket(actor=agent, ticket_id=ticket.pk, body=f"again {number}")
        assign_ticket(actor=agent, ticket_id=ticket.pk, team_id=inside.teams["apps" if number % 2 else "network"].pk)
    with CaptureQueriesContext(connection) as many:
        assert len(timeline(agent, ticket)) == 26
    assert len(many) == len(few) == 8
