"""A log becomes incidents with their history: exact values, at the original times, and nothing acts on it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from incidents.commands import resume_incident
from incidents.importing.directory import Directory
from incidents.importing.history import import_history
from incidents.models import Incident
from itsm.events.models import Delivery, Event, EventText, FeedEntry, Outbox
from itsm.events.relay import relay
from itsm.kernel.errors import Forbidden
from itsm.tenancy.models import Person, Team
from itsm.tickets.models import SourceRecord, Ticket, TicketSearch
from itsm.tickets.search import search_tickets
from itsm.tickets.timeline import timeline
from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk
from tests.importing.logs import CASES, assert_chains, log, row, run

UPDATED = datetime(2016, 3, 5, 12, 0, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(log(CASES), encoding="utf-8")
    return path


def ticket_of(number: str) -> Ticket:
    return Ticket.objects.get(pk=SourceRecord.objects.get(number=number).ticket_id)


def everything() -> dict[str, int]:
    models: tuple[Any, ...] = (
        Ticket,
        Incident,
        Event,
        EventText,
        FeedEntry,
        Person,
        Team,
        SourceRecord,
        TicketSearch,
        Outbox,
    )
    return {model.__name__: model.objects.count() for model in models}


def test_a_case_is_written_as_it_was(acme: Desk, file: Path) -> None:
    with acme.inside():
        outbox = Outbox.objects.count()
    said = run(acme, file)
    assert "3 incidents with 10 events written" in said
    with acme.inside():
        ticket = ticket_of("INC0000045")
        assert ticket.number == "INC0001001"
        assert ticket.title == "Category 55, Subcategory 170, Symptom 72"
        assert (ticket.state, ticket.state_category, ticket.priority, ticket.channel) == (7, "closed", 3, "phone")
        assert ticket.opened_at == datetime(2016, 2, 29, 1, 16, tzinfo=UTC)
        assert ticket.resolved_at == datetime(2016, 2, 29, 11, 29, tzinfo=UTC)
        assert (ticket.closed_at, ticket.updated_at) == (UPDATED, UPDATED)
        assert (ticket.reopen_count, ticket.reassignment_count, ticket.version, ticket.last_sequence) == (1, 1, 6, 6)
        assert (ticket.requester.name, ticket.opened_by.name, ticket.team.name) == (
            "Caller 1",
            "Opened by 8",
            "Group 70",
        )
        assert (ticket.category.name, ticket.category.parent.name) == ("Subcategory 170", "Category 55")
        assert Incident.objects.get(pk=ticket.pk).resolved_by.name == "Resolved by 149"
        events = list(Event.objects.filter(ticket_id=ticket.pk).order_by("sequence"))
        assert [event.payload["state"] for event in events] == [[None, 1], [1, 2], [2, 2], [2, 3], [3, 6], [6, 7]]
        assert [event.payload["source"]["state"] for event in events] == [
            "New",
            "Active",
            "-100",
            "Awaiting User Info",
            "Resolved",
            "Closed",
        ]
        assert events[0].occurred_at == datetime(2016, 2, 29, 1, 23, tzinfo=UTC)
        assert (events[0].kind, events[0].actor_kind, events[0].actor_label) == (
            "incident.imported",
            "system",
            "import",
        )
        assert Person.objects.get(pk=events[0].actor_id).source_key == "servicenow-log:Updated by 21"
        resolver = str(Person.objects.get(name="Resolver 89").pk)
        teams = [str(Team.objects.get(name=name).pk) for name in ("Group 56", "Group 70")]
        assert events[1].payload["changes"] == {"assignee": [None, resolver], "team": teams}
        assert events[3].payload["changes"] == {"assignee": [resolver, None], "hold_reason": ["", "awaiting_caller"]}
        assert "changes" not in events[2].payload
        # What is known at the end only does not stand in an earlier event.
        assert "code 5" not in str([event.payload for event in events[:5]])
        assert events[5].payload["source"]["close_code"] == "code 5"
        # Nobody hears of it.
        assert Outbox.objects.count() == outbox
        assert not Delivery.objects.exists()
    assert assert_chains(acme) > 10


def test_its_timeline_tells_their_words_and_ours(acme: Desk, file: Path) -> None:
    run(acme, file)
    with acme.inside():
        told = [str(entry) for entry in timeline(acme.actor("agent"), ticket_of("INC0000045"))]
    assert any("Awaiting User Info" in text and "Resolver 89" in text for text in told)


def test_the_future_is_not_known(acme: Desk, file: Path) -> None:
    run(acme, file)
    with acme.inside():
        waiting, closed = ticket_of("INC0000057"), ticket_of("INC0000047")
        assert (waiting.state, waiting.resolved_at, waiting.closed_at, waiting.priority) == (3, None, None, 2)
        assert (closed.state, closed.resolved_at, closed.closed_at, closed.requester_id) == (7, None, UPDATED, None)
        assert Incident.objects.get(pk=waiting.pk).hold_reason == "awaiting_problem"
        assert Incident.objects.get(pk=waiting.pk).resolved_by_id is None


def test_imported_tickets_are_searched_and_worked_on(acme: Desk, file: Path) -> None:
    run(acme, file)
    with acme.inside():
        ticket = ticket_of("INC0000057")
        assert search_tickets(acme.actor("agent"), "INC0000057") == [ticket.pk]
        resume_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, expected_version=2)
    relay(acme.tenant.pk)
    with acme.inside():
        assert search_tickets(acme.actor("agent"), "INC0000057") == [ticket.pk]
        assert [e.kind for e in Event.objects.filter(ticket_id=ticket.pk).order_by("sequence")][2:] == [
            "incident.resumed"
        ]
    assert_chains(acme)


def test_a_second_run_writes_nothing(acme: Desk, file: Path) -> None:
    run(acme, file)
    with acme.inside():
        before = everything()
    said = run(acme, file)
    assert "0 incidents with 0 events written" in said
    assert "3 cases were here already" in said
    with acme.inside():
        assert everything() == before


def test_a_longer_log_writes_what_is_new_and_names_what_differs(acme: Desk, file: Path) -> None:
    run(acme, file)
    more = [*CASES, row("INC0000057", "Closed", "9/3/2016 07:00"), row("INC0000060", "New", "9/3/2016 08:00")]
    file.write_text(log(more), encoding="utf-8")
    said = run(acme, file)
    assert "1 incidents with 1 events written" in said
    assert "1 of them differ" in said
    assert "differs" in file.with_suffix(".rejects").read_text()
    with acme.inside():
        assert ticket_of("INC0000057").state == 3


def test_a_dry_run_writes_nothing(acme: Desk, file: Path) -> None:
    with acme.inside():
        before = everything()
    bad = [*CASES, row("INC0000099", "Nonsense", "9/3/2016 08:00")]
    file.write_text(log(bad), encoding="utf-8")
    said = run(acme, file, dry_run=True)
    assert "3 incidents with 10 events would be written" in said
    assert "line 12 (INC0000099): the state 'Nonsense' is not in the mapping" in said
    with acme.inside():
        assert everything() == before


def test_small_batches_come_to_the_same(acme: Desk, globex: Desk, file: Path) -> None:
    run(acme, file, batch=1)
    run(globex, file, batch=10_000)
    seen = []
    for desk in (acme, globex):
        with desk.inside():
            seen.append(
                [
                    (t.number, t.title, t.state, t.team.name, t.last_sequence)
                    for t in Ticket.objects.select_related("team").order_by("number")
                ]
            )
        assert_chains(desk)
    assert seen[0] == seen[1]
    assert len(seen[0]) == 3


def test_scattered_rows_are_gathered(acme: Desk, file: Path) -> None:
    file.write_text(log([*CASES[6:8], *CASES[:3], *CASES[8:], *CASES[3:6]]), encoding="utf-8")
    assert "3 incidents with 10 events written" in run(acme, file)
    with acme.inside():
        assert ticket_of("INC0000045").last_sequence == 6
    assert_chains(acme)


def test_agents_may_not_import(acme: Desk) -> None:
    with acme.inside():
        before = everything()
        actor = acme.actor("agent")
        with pytest.raises(Forbidden) as refused:
            import_history(actor=actor, source="x", cases=[], directory=Directory(acme.tenant.pk, "x"))
        assert refused.value.permission == "incident.import"
        assert everything() == before


def test_two_systems_with_the_same_numbers(acme: Desk, file: Path) -> None:
    run(acme, file)
    assert "3 incidents" in run(acme, file, source="servicenow-emea")
    with acme.inside():
        assert Ticket.objects.count() == 6


def test_a_database_that_refuses_is_told(committed_db: CommittedDatabase, file: Path) -> None:
    desk = make_desk("acme")
    with committed_db.connect("owner", autocommit=False) as other:
        other.execute("LOCK TABLE tickets_sourcerecord IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(CommandError, match=r"lock timeout. The same command goes on where this one stopped\."):
            run(desk, file)
        other.rollback()
    assert "3 incidents with 10 events written" in run(desk, file)


def test_unknown_desk_and_missing_mapping(acme: Desk, file: Path) -> None:
    acme.tenant.slug = "nobody"
    with pytest.raises(CommandError, match="no active service desk 'nobody'"):
        run(acme, file)
    acme.tenant.slug = "acme"
    with pytest.raises(CommandError, match="Name a mapping"):
        run(acme, file, format=None)
    with pytest.raises(CommandError, match="cannot be opened"):
        run(acme, file.with_name("none.csv"))
