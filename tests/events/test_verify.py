"""verify_events finds what somebody with all rights did to the log, and names the place."""

from __future__ import annotations

import json
import uuid
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from incidents.commands import resolve_incident, take_incident
from itsm.events.relay import relay
from itsm.events.verify import verify
from itsm.tickets.commands import comment_on_ticket
from itsm.tickets.models import Ticket
from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk


def busy_desk(slug: str = "acme") -> tuple[Desk, Ticket]:
    """A desk with a ticket of six events, sealed in two batches."""
    desk = make_desk(slug)
    ticket = desk.incident(title="The printer is on fire", description="Third floor")
    relay(desk.tenant.pk)
    agent = desk.actor("agent")
    take_incident(actor=agent, ticket_id=ticket.pk)
    comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="Which printer?")
    comment_on_ticket(actor=desk.actor("requester"), ticket_id=ticket.pk, body="The red one")
    resolve_incident(actor=agent, ticket_id=ticket.pk, close_code="solution_provided", close_notes="Water")
    desk.incident(by="colleague", title="Another one")
    relay(desk.tenant.pk)
    return desk, ticket


def report(slug: str = "acme") -> tuple[dict[str, Any], int]:
    out = StringIO()
    try:
        call_command("verify_events", "--tenant", slug, "--json", stdout=out)
        code = 0
    except CommandError as error:
        code = error.returncode
    return json.loads(out.getvalue())[slug], code


def tamper(database: CommittedDatabase, sql: str, *params: Any) -> None:
    """What a superuser can do: triggers and foreign keys do not stop whoever may switch them off."""
    with database.superuser() as boss:
        boss.execute("BEGIN; SET LOCAL session_replication_role = replica")
        for table in ("events_event", "events_feedentry", "events_seal"):
            boss.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        boss.execute(sql, params)
        for table in ("events_event", "events_feedentry", "events_seal"):
            boss.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_rows")
            boss.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_all")
        boss.execute("COMMIT")


def event_of(database: CommittedDatabase, ticket: Ticket, sequence: int) -> str:
    with database.connect("owner") as owner:
        row = owner.execute(
            "SELECT id::text FROM events_event WHERE ticket_id = %s AND sequence = %s", [ticket.pk, sequence]
        ).fetchone()
    assert row is not None
    return str(row[0])


def test_an_honest_log_is_intact(committed_db: CommittedDatabase) -> None:
    desk, _ = busy_desk()
    desk.incident(title="Not sealed yet")
    found, code = report()
    assert (code, found["intact"], found["breaks"]) == (0, True, [])
    assert (found["tickets"], found["seals"], found["unsealed"]) == (3, 2, 1)
    assert found["events"] == found["positions"] + 1
    assert found["texts"] == 7
    with pytest.raises(CommandError, match="no service desk 'nobody'"):
        call_command("verify_events", "--tenant", "nobody")


CHANGES = {
    "payload": 'UPDATE events_event SET payload = payload || \'{"close_code": "known_error"}\' WHERE id = %s',
    "actor": "UPDATE events_event SET actor_id = gen_random_uuid() WHERE id = %s",
    "time": "UPDATE events_event SET occurred_at = occurred_at - interval '1 hour' WHERE id = %s",
    "kind": "UPDATE events_event SET kind = 'incident.closed' WHERE id = %s",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_row_is_named(committed_db: CommittedDatabase, change: str) -> None:
    _, ticket = busy_desk()
    event = event_of(committed_db, ticket, 6)
    tamper(committed_db, CHANGES[change], event)
    found, code = report()
    assert (code, [one["event"] for one in found["breaks"]]) == (1, [event])
    assert found["breaks"][0]["what"] == "the content was changed"


def test_a_change_with_a_new_digest_is_found_by_ticket_and_seal(committed_db: CommittedDatabase) -> None:
    """Somebody who knows how digests are made writes a fitting one: the next event, the ticket and the seal know better."""
    from itsm.events.digest import event_digest
    from itsm.events.models import Event

    desk, ticket = busy_desk()
    event_id = event_of(committed_db, ticket, 2)
    with desk.inside():
        event = Event.objects.get(pk=event_id)
    event.actor_id = uuid.uuid4()
    tamper(
        committed_db,
        "UPDATE events_event SET actor_id = %s, digest = %s WHERE id = %s",
        event.actor_id, event_digest(event), event_id,
    )  # fmt: skip
    found, code = report()
    follower = event_of(committed_db, ticket, 3)
    assert code == 1
    assert (found["breaks"][0]["event"], found["breaks"][0]["what"]) == (
        follower,
        "does not follow the event before it",
    )
    assert "does not fit its events" in found["breaks"][1]["what"]


@pytest.mark.parametrize("sequence", [3, 6])
def test_a_deleted_row_is_named(committed_db: CommittedDatabase, sequence: int) -> None:
    _, ticket = busy_desk()
    event = event_of(committed_db, ticket, sequence)
    neighbour = event_of(committed_db, ticket, sequence + 1 if sequence < 6 else 5)
    tamper(committed_db, "DELETE FROM events_event WHERE id = %s", event)
    found, code = report()
    assert code == 1
    breaks = {(one["event"], one["what"]) for one in found["breaks"]}
    expected = (
        f"event {sequence} of the ticket is missing"
        if sequence < 6
        else "is not the last event that its ticket remembers"
    )
    assert (neighbour, expected) in breaks
    assert (event, "the event of this position is missing") in breaks


def test_all_events_of_a_ticket_deleted(committed_db: CommittedDatabase) -> None:
    _, ticket = busy_desk()
    tamper(committed_db, "DELETE FROM events_event WHERE ticket_id = %s", ticket.pk)
    found, _ = report()
    assert (str(ticket.pk), "all events of the ticket are missing") in {
        (one["ticket"], one["what"]) for one in found["breaks"]
    }


def test_swapped_rows(committed_db: CommittedDatabase) -> None:
    """Two events trade their contents: both are named."""
    _, ticket = busy_desk()
    events = sorted([event_of(committed_db, ticket, 4), event_of(committed_db, ticket, 5)])
    tamper(
        committed_db,
        "UPDATE events_event e SET payload = o.payload, actor_id = o.actor_id FROM events_event o "
        "WHERE e.id = ANY (%s::uuid[]) AND o.id = ANY (%s::uuid[]) AND o.id <> e.id",
        events, events,
    )  # fmt: skip
    found, _ = report()
    assert sorted({one["event"] for one in found["breaks"]}) == events


def test_swapped_positions(committed_db: CommittedDatabase) -> None:
    busy_desk()
    with committed_db.connect("owner") as owner:
        row = owner.execute("SELECT first_position, last_position FROM events_seal WHERE batch = 2").fetchone()
    assert row is not None
    first, last = row
    assert last - first >= 3
    for sql in (
        f"UPDATE events_feedentry SET position = -1 WHERE position = {first}",
        f"UPDATE events_feedentry SET position = {first} WHERE position = {first + 1}",
        f"UPDATE events_feedentry SET position = {first + 1} WHERE position = -1",
    ):
        tamper(committed_db, sql)
    found, code = report()
    assert code == 1
    assert [(one["position"], one["what"]) for one in found["breaks"]] == [
        (first, f"seal 2 (positions {first} to {last}) does not fit its events")
    ]


def test_a_hole_in_the_feed_a_lost_seal_and_a_cut_end(committed_db: CommittedDatabase) -> None:
    desk, _ = busy_desk()
    tamper(committed_db, "DELETE FROM events_feedentry WHERE position = 5")
    found = {one.what for one in verify(desk.tenant.pk).breaks}
    assert "this position of the feed is missing" in found
    assert "is neither in the feed nor waiting for it" in found
    tamper(committed_db, "DELETE FROM events_seal WHERE batch = 2")
    found = {one.what for one in verify(desk.tenant.pk).breaks}
    assert "the feed ends at seal 1, its head says 2" in found
    assert "lies behind the last seal" in found


def test_a_changed_text_is_named_and_a_removed_one_is_no_break(committed_db: CommittedDatabase) -> None:
    _, ticket = busy_desk()
    event = event_of(committed_db, ticket, 4)
    tamper(committed_db, "UPDATE events_eventtext SET text = 'I never said so' WHERE event_id = %s", event)
    found, code = report()
    assert (code, [(one["event"], one["what"]) for one in found["breaks"]]) == (
        1,
        [(event, "the text body was changed")],
    )
    tamper(committed_db, "DELETE FROM events_eventtext WHERE event_id = %s", event)
    assert report()[1] == 0


def test_the_other_tenant_is_not_touched(committed_db: CommittedDatabase) -> None:
    _, ticket = busy_desk("acme")
    busy_desk("globex")
    tamper(committed_db, CHANGES["time"], event_of(committed_db, ticket, 1))
    assert (report("acme")[1], report("globex")[1]) == (1, 0)
    errors = StringIO()
    with pytest.raises(CommandError, match=r"The log is broken: acme\."):
        call_command("verify_events", stdout=StringIO(), stderr=errors)
    assert errors.getvalue().count("the content was changed") == 1
