"""Erasing a person and retiring texts: the words are gone everywhere, and the log still verifies."""

from __future__ import annotations

import json
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection

from incidents.commands import close_incident, reopen_incident, resolve_incident, take_incident
from incidents.models import Incident
from itsm.access.actors import actor_of_token
from itsm.events.models import Delivery, Event, EventText
from itsm.events.relay import relay
from itsm.events.verify import verify
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Forbidden, Invalid, NotFound
from itsm.tenancy.models import Membership, Person
from itsm.tickets.commands import (
    attach_file,
    comment_on_ticket,
    erase_person,
    retire_texts,
    set_parent,
    watch_ticket,
)
from itsm.tickets.models import Attachment, Comment, DeskSettings, SourceRecord, Ticket, TicketSearch, Watcher
from itsm.tickets.search import search_tickets
from itsm.tickets.tasks import retire_all
from tests.api.caller import Caller, problem
from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk
from tests.importing.logs import run
from tests.importing.test_bad_input import RECORD

SECRET = "xylophone"


def words_left(word: str) -> list[str]:
    """Columns of tenant tables that still contain the word, found by looking at every row as text."""
    left = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_policies WHERE policyname = 'tenant_isolation' ORDER BY 1")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE t::text ILIKE %s', [f"%{word}%"])
            row = cursor.fetchone()
            if row and row[0]:
                left.append(table)
    return left


@pytest.fixture
def written(committed_db: CommittedDatabase) -> tuple[Desk, Ticket, Ticket, list[str]]:
    """The requester's ticket and a colleague's one, both with words and files of both people and of the agent."""
    desk = make_desk("acme")
    agent, requester = desk.actor("agent"), desk.actor("requester")
    mine = desk.incident(title=f"My {SECRET}", description=f"It is a {SECRET}")
    theirs = desk.incident(by="colleague", title="My trumpet", description="It is a trumpet")
    for ticket in (mine, theirs):
        take_incident(actor=agent, ticket_id=ticket.pk)
        watch_ticket(actor=agent, ticket_id=ticket.pk, person_id=desk.people["requester"].pk)
        comment_on_ticket(actor=requester, ticket_id=ticket.pk, body=f"I said {SECRET}")
        comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="Dear colleague, the trumpet")
        attach_file(actor=requester, ticket_id=ticket.pk, name=f"{SECRET}.txt", content=BytesIO(b"pling"), size=5)
    resolve_incident(actor=agent, ticket_id=mine.pk, close_code="solution_provided", close_notes=f"Tuned the {SECRET}")
    desk.token("requester")
    relay(desk.tenant.pk)
    with desk.inside():
        keys = list(Attachment.objects.values_list("storage_key", flat=True))
    return desk, mine, theirs, keys


def test_nothing_of_the_person_is_left_and_the_chain_holds(written: tuple[Desk, Ticket, Ticket, list[str]]) -> None:
    desk, mine, theirs, keys = written
    person, token = desk.people["requester"], desk.token("requester")
    with desk.inside():
        assert SECRET in "".join(EventText.objects.values_list("text", flat=True))
    assert all(default_storage.exists(key) for key in keys)

    removed = erase_person(actor=desk.actor("admin"), person_id=person.pk)
    assert (removed["tickets"], removed["comments"], removed["files"], removed["tokens"]) == (1, 3, 2, 2)

    with desk.inside():
        for word in (SECRET, "requester of acme", "requester@acme"):
            assert words_left(word) == []
        gone = Person.objects.get(pk=person.pk)
        assert (gone.name, gone.email_key, gone.is_active) == ("[removed]", None, False)
        assert gone.erased_at is not None
        assert not Membership.objects.filter(person_id=person.pk).exists()
        assert not Watcher.objects.filter(person_id=person.pk).exists()
        mine.refresh_from_db()
        theirs.refresh_from_db()
        assert (mine.title, mine.description, mine.requester_id) == ("[removed]", "", person.pk)
        assert (theirs.title, theirs.description) == ("My trumpet", "It is a trumpet")
        assert Incident.objects.get(pk=mine.pk).close_notes == ""
        assert list(
            Comment.objects.filter(ticket_id=theirs.pk).order_by("created_at").values_list("body", flat=True)
        ) == [
            "",
            "Dear colleague, the trumpet",
        ]
        assert set(Attachment.objects.values_list("name", flat=True)) == {"[removed]"}
        assert not Attachment.objects.filter(removed_at__isnull=True).exists()
        assert actor_of_token(desk.tenant.pk, token) is None
        recorded = Event.objects.get(kind="person.erased")
        assert recorded.payload["person"] == str(person.pk)
        assert list(Event.objects.filter(kind="ticket.texts_removed").values_list("ticket_id", flat=True)) == [
            mine.pk,
            theirs.pk,
        ]
    report = verify(desk.tenant.pk)
    assert report.breaks == []
    relay(desk.tenant.pk)
    assert not any(default_storage.exists(key) for key in keys)
    with desk.inside():
        agent = desk.actor("agent")
        assert search_tickets(agent, SECRET) == []
        assert set(search_tickets(agent, "trumpet")) == {theirs.pk}
        assert words_left(SECRET) == []
    assert verify(desk.tenant.pk).breaks == []


def test_a_digest_tells_nothing_once_the_salt_is_gone(written: tuple[Desk, Ticket, Ticket, list[str]]) -> None:
    """The salt lies beside the text only: with both gone, a guess cannot be compared with the digest."""
    desk, mine, *_ = written
    with desk.inside():
        salts = {bytes(s) for s in EventText.objects.filter(event__ticket_id=mine.pk).values_list("salt", flat=True)}
    erase_person(actor=desk.actor("admin"), person_id=desk.people["requester"].pk)
    with desk.inside(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events_event WHERE payload ? 'texts'")
        assert cursor.fetchone() != (0,)
        cursor.execute("SELECT tablename FROM pg_policies WHERE policyname = 'tenant_isolation'")
        for (table,) in cursor.fetchall():
            for salt in salts:
                cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE %s', [f"%{salt.hex()}%"])
                assert cursor.fetchone() == (0,), table


def test_only_an_admin_may_and_a_refusal_changes_nothing(acme: Desk) -> None:
    person = acme.people["requester"]
    for role in ("agent", "manager", "auditor", "requester"):
        with pytest.raises(Forbidden) as refused:
            erase_person(actor=acme.actor(role), person_id=person.pk)
        assert refused.value.permission == "person.erase"
    with pytest.raises(Invalid, match="yourself"):
        erase_person(actor=acme.actor("admin"), person_id=acme.people["admin"].pk)
    with acme.inside():
        assert Person.objects.get(pk=person.pk).email_key == "requester@acme.example"
        assert not Event.objects.filter(kind="person.erased").exists()
    erase_person(actor=acme.actor("admin"), person_id=person.pk)
    with pytest.raises(NotFound):
        erase_person(actor=acme.actor("admin"), person_id=person.pk)


def test_the_command_line(committed_db: CommittedDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk("acme")
    monkeypatch.setattr("builtins.input", lambda _prompt: "n")
    with pytest.raises(CommandError, match="Nothing was erased"):
        call_command("erase_person", "colleague@acme.example", "--tenant", "acme")
    out = StringIO()
    call_command("erase_person", "colleague@acme.example", "--tenant", "acme", "--yes", stdout=out)
    assert out.getvalue().startswith(f"Erased {desk.people['colleague'].pk}: ")
    with pytest.raises(CommandError, match="or no longer"):
        call_command("erase_person", "colleague@acme.example", "--tenant", "acme", "--yes")
    with pytest.raises(CommandError, match="no service desk"):
        call_command("erase_person", "colleague@acme.example", "--tenant", "nobody", "--yes")


def closed_ticket(desk: Desk, days_ago: int, title: str) -> Ticket:
    with clock.at(clock.now() - timedelta(days=days_ago)):
        agent = desk.actor("agent")
        ticket = desk.incident(title=title)
        resolve_incident(actor=agent, ticket_id=ticket.pk, close_code="solution_provided", close_notes=title)
        return close_incident(actor=agent, ticket_id=ticket.pk)


def test_retention_removes_the_texts_of_what_was_closed_long_ago(committed_db: CommittedDatabase) -> None:
    desk, other = make_desk("acme"), make_desk("globex")
    old, new = closed_ticket(desk, 31, "ancient words"), closed_ticket(desk, 29, "recent words")
    kept = closed_ticket(other, 400, "kept for ever")
    still_open = desk.incident(title="open words")
    assert retire_all() == 0
    with desk.inside():
        DeskSettings.objects.update(retention_days=30)
    assert retire_all() == 1
    assert retire_all() == 0

    def facts(ticket: Ticket) -> tuple[Any, ...]:
        ticket.refresh_from_db()
        notes = Incident.objects.get(pk=ticket.pk).close_notes
        return ticket.title, notes, EventText.objects.filter(event__ticket_id=ticket.pk).count()

    with desk.inside():
        assert facts(old) == ("[removed]", "", 0)
        assert facts(new) == ("recent words", "recent words", 2)
        assert facts(still_open) == ("open words", "", 1)
        assert words_left("ancient") == []
        assert Event.objects.filter(kind="texts.retired").count() == 1
        assert not TicketSearch.objects.filter(ticket_id=old.pk).exists()
    with other.inside():
        assert facts(kept)[0] == "kept for ever"
    assert (verify(desk.tenant.pk).breaks, verify(other.tenant.pk).breaks) == ([], [])


def test_retention_is_the_products_own_work(acme: Desk) -> None:
    with pytest.raises(Forbidden):
        retire_texts(actor=acme.actor("admin"))
    assert retire_texts(actor=Actor.system(acme.tenant.pk, "retention")) == 0


def test_stored_answers_and_repeated_notes_go_as_well(acme: Desk) -> None:
    """What a replay would say again, and the notes that the product wrote on children for whoever resolved the parent."""
    requester, agent = Caller(acme, "requester"), acme.actor("agent")
    body = {"title": f"My {SECRET}"}
    made = requester.post("incidents/", body, Idempotency_Key="k1")
    parent, child = acme.incident("colleague"), acme.incident("colleague")
    set_parent(actor=agent, ticket_id=child.pk, parent_id=parent.pk)
    resolve_incident(actor=agent, ticket_id=parent.pk, close_code="solution_provided", close_notes=f"A {SECRET}")
    with acme.inside():
        assert Incident.objects.get(pk=child.pk).close_notes == f"A {SECRET}"
    admin = acme.actor("admin")
    erase_person(actor=admin, person_id=acme.people["agent"].pk)
    with acme.inside():
        left = set(words_left(SECRET))
        assert left == {"tickets_ticket", "events_eventtext"}, "what the requester wrote, and nothing of the agent's"
        assert not EventText.objects.filter(field="close_notes").exists()
        assert set(Incident.objects.values_list("close_notes", flat=True)) == {""}
        removed = Event.objects.filter(kind="ticket.texts_removed").order_by("ticket_id")
        assert list(removed.values_list("ticket_id", flat=True)) == [parent.pk, child.pk]
    problem(requester.post("incidents/", body, Idempotency_Key="k1"), 409, "idempotency_answer_removed")
    with acme.inside():
        assert list(Ticket.objects.filter(title=f"My {SECRET}").values_list("number", flat=True)) == [
            made.json()["number"]
        ], "told that it was done, and not done again"
    erase_person(actor=admin, person_id=acme.people["requester"].pk)
    with acme.inside():
        assert words_left(SECRET) == []


def test_notes_repeated_on_a_child_go_after_it_was_reopened_too(acme: Desk) -> None:
    """Reopening forgets who resolved; the chain of causes does not, over two generations."""
    agent, other = acme.actor("agent"), acme.actor("manager")
    parent, child, kept = (acme.incident("colleague") for _ in range(3))
    set_parent(actor=agent, ticket_id=child.pk, parent_id=parent.pk)
    resolve_incident(actor=agent, ticket_id=parent.pk, close_code="solution_provided", close_notes=f"A {SECRET}")
    resolve_incident(actor=other, ticket_id=kept.pk, close_code="solution_provided", close_notes="A trumpet")
    reopen_incident(actor=other, ticket_id=child.pk, reason="It is back")
    with acme.inside():
        assert EventText.objects.filter(text=f"A {SECRET}", event__ticket_id=child.pk).exists()
    erase_person(actor=acme.actor("admin"), person_id=acme.people["agent"].pk)
    with acme.inside():
        assert words_left(SECRET) == []
        assert sorted(EventText.objects.exclude(field="title").values_list("text", flat=True)) == [
            "A trumpet",
            "It is back",
        ]
        removed = Event.objects.filter(kind="ticket.texts_removed").order_by("ticket_id")
        assert list(removed.values_list("ticket_id", flat=True)) == [parent.pk, child.pk]
        assert Incident.objects.get(pk=kept.pk).close_notes == "A trumpet"


def test_imported_notes_go_with_whoever_wrote_them_there(acme: Desk, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    record = {
        **RECORD,
        "state": "Resolved",
        "close_code": "Solution provided",
        "close_notes": f"A {SECRET}",
        "resolved_by": "Olga Old",
        "resolved_at": RECORD["sys_updated_on"],
    }
    path.write_text(json.dumps(record))
    run(acme, path, format="servicenow-records")
    with acme.inside():
        ticket = Ticket.objects.get(pk=SourceRecord.objects.get(number=RECORD["number"]).ticket_id)
        olga = Person.objects.get(name="Olga Old")
        with clock.at(ticket.resolved_at or clock.now()):
            reopen_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="It is back")
        assert words_left(SECRET) == ["events_eventtext"]
        imported = Event.objects.get(kind="incident.imported", ticket_id=ticket.pk)
        Delivery(tenant_id=acme.tenant.pk, event_id=imported.pk, consumer="x", error=f"ValueError: {SECRET}").save()
    erase_person(actor=acme.actor("admin"), person_id=olga.pk)
    with acme.inside():
        assert words_left(SECRET) == []
        assert words_left("It is back") == ["events_eventtext"]
        assert Delivery.objects.get(consumer="x").error == "[removed]"
        assert bytes(SourceRecord.objects.get().digest) == b"", "by which a guess could be checked"
        assert Event.objects.filter(kind="ticket.texts_removed", ticket_id=ticket.pk).count() == 1
    assert verify(acme.tenant.pk).breaks == []
    said = run(acme, path, format="servicenow-records")
    assert "0 incidents with 0 events written" in said
    assert "differ" not in said
