"""The inbox by page and API, the pages of the admin, and who gets in where."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from itsm.events.models import Event
from itsm.notify.models import Dispatch, Endpoint, MessageTemplate, Notification, Preference
from itsm.tickets.commands import assign_ticket, comment_on_ticket, watch_ticket
from tests.factories import Desk

Deliver = Callable[[], list[Any]]
pytestmark = pytest.mark.usefixtures("noon")


def browser(desk: Desk, name: str) -> Client:
    client = Client()
    client.force_login(desk.users[name])
    return client


@pytest.fixture
def story(acme: Desk, deliver: Deliver) -> Any:
    """A ticket with two replies that the requester was told of."""
    ticket = acme.incident()
    for word in ("One", "Two"):
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body=word)
    deliver()
    return ticket


def unread(desk: Desk, name: str) -> int:
    with desk.inside():
        return Notification.objects.filter(person=desk.people[name], read_at__isnull=True).count()


# --- Pages ------------------------------------------------------------------------------------------------------------


def test_the_bell_counts_and_the_inbox_shows(acme: Desk, story: Any) -> None:
    requester = browser(acme, "requester")
    page = requester.get("/t/acme/inbox/")
    assert page.status_code == 200
    assert "Inbox, 2 unread" in page.text
    assert page.text.count("agent of acme</bdi> replied") == 2
    [first, _] = re.findall(r'action="/t/acme/inbox/([0-9a-f-]{36})/"', page.text)[::2]
    stay = requester.post(f"/t/acme/inbox/{first}/", {"stay": "1"})
    assert (stay.status_code, stay["Location"]) == (302, "/t/acme/inbox/")
    assert unread(acme, "requester") == 1
    shown = requester.get("/t/acme/inbox/?unread")
    assert shown.text.count("agent of acme</bdi> replied") == 1
    opened = requester.post(f"/t/acme/inbox/{first}/")
    assert opened["Location"] == f"/t/acme/incidents/{story.number}/"
    assert requester.post("/t/acme/inbox/read/").status_code == 302
    assert unread(acme, "requester") == 0
    empty = requester.get("/t/acme/inbox/?unread")
    assert "Everything is read." in empty.text
    assert "unread</span>" not in re.sub(r"\s+", " ", empty.text)
    assert "Nobody has told you anything yet." in browser(acme, "colleague").get("/t/acme/inbox/").text


def test_nobody_reads_anothers_inbox(acme: Desk, globex: Desk, story: Any) -> None:
    with acme.inside():
        pk = Notification.objects.values_list("pk", flat=True).first()
    for desk, name in ((acme, "colleague"), (acme, "admin"), (acme, "agent"), (globex, "requester")):
        assert browser(desk, name).post(f"{desk.prefix}/inbox/{pk}/").status_code == 404
        token = {"Authorization": f"Bearer {desk.token(name)}"}
        assert (
            Client()
            .post(f"/api/v1/me/notifications/{pk}/read/", content_type="application/json", headers=token)
            .status_code
            == 404
        )
        assert Client().get("/api/v1/me/notifications/", headers=token).json()["results"] == []
        assert "printer" not in browser(desk, name).get(f"{desk.prefix}/inbox/?after={pk}").text
    assert unread(acme, "requester") == 2


def test_what_one_may_no_longer_see_is_a_line_without_words(acme: Desk, deliver: Deliver) -> None:
    ticket = acme.incident()
    watch_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk)
    comment_on_ticket(actor=acme.actor("requester"), ticket_id=ticket.pk, body="x")
    deliver()
    assign_ticket(actor=acme.system, ticket_id=ticket.pk, team_id=acme.teams["hr"].pk)
    agent = browser(acme, "agent")
    page = agent.get("/t/acme/inbox/")
    assert "A ticket that you may no longer see" in page.text
    assert ticket.title not in page.text
    assert ticket.number not in page.text
    with acme.inside():
        pk = Notification.objects.get(person=acme.people["agent"]).pk
    assert agent.post(f"/t/acme/inbox/{pk}/")["Location"] == "/t/acme/inbox/"
    token = {"Authorization": f"Bearer {acme.token('agent')}"}
    [row] = Client().get("/api/v1/me/notifications/", headers=token).json()["results"]
    assert (row["ticket"], row["text"]) == (None, "")


def test_the_inbox_costs_the_same_for_two_and_for_twenty(acme: Desk, deliver: Deliver) -> None:
    requester = browser(acme, "requester")
    requester.get("/t/acme/inbox/")

    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            requester.get("/t/acme/inbox/")
        return len(queries)

    counts = []
    for size in (2, 18):
        for _ in range(size):
            ticket = acme.incident()
            comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="x")
        deliver()
        counts.append(cost())
    assert counts[0] == counts[1]


def test_preferences_by_page(acme: Desk) -> None:
    agent = browser(acme, "agent")
    page = agent.get("/t/acme/profile/notifications/")
    assert page.status_code == 200
    fields = {
        name: "on"
        for name in re.findall(r'type="checkbox" name="([\w-]+)"[^>]*checked', page.text)
        if name != "email-watched"
    }
    sent = {**fields, "digest": "hourly", "digest_at": "08:00", "quiet_start": "22:00", "quiet_end": "06:30"}
    assert agent.post("/t/acme/profile/notifications/", sent).status_code == 302
    with acme.inside():
        row = Preference.objects.get()
        assert row.person_id == acme.people["agent"].pk
        # Only what was moved: everything else goes on following the defaults.
        assert row.topics == {"watched": {"email": False}}
        assert (row.digest, str(row.quiet_start), str(row.quiet_end)) == ("hourly", "22:00:00", "06:30:00")
    bad = agent.post("/t/acme/profile/notifications/", {**sent, "quiet_end": ""})
    assert bad.status_code == 400
    assert agent.get("/t/acme/notification-defaults/").status_code == 403
    assert agent.post("/t/acme/notification-defaults/", sent).status_code == 403
    admin = browser(acme, "admin")
    assert admin.get("/t/acme/notification-defaults/").status_code == 200
    assert admin.post("/t/acme/notification-defaults/", sent).status_code == 302
    with acme.inside():
        assert Preference.objects.filter(person__isnull=True).count() == 1


def test_a_preview_with_a_real_ticket_sends_and_saves_nothing(acme: Desk, story: Any) -> None:
    admin = browser(acme, "admin")
    page = admin.get("/t/acme/message-preview/?key=reply&language=de")
    assert "Re: {ticket.number}" in page.text
    words = {"key": "reply", "language": "de", "subject": "{ticket.number}: {ticket.state}", "text": "{event.body}"}
    shown = admin.post("/t/acme/message-preview/", {**words, "ticket": story.number})
    assert shown.status_code == 200
    assert f"{story.number}: Neu" in shown.text
    assert ">Two</pre>" in shown.text
    wrong = admin.post("/t/acme/message-preview/", {**words, "text": "{event.bdy}", "ticket": story.number})
    assert (wrong.status_code, "Did you mean {event.body}?" in wrong.text) == (400, True)
    assert admin.post("/t/acme/message-preview/", {**words, "ticket": "INC9999999"}).status_code == 400
    assert browser(acme, "agent").get("/t/acme/message-preview/").status_code == 403
    with acme.inside():
        assert not MessageTemplate.objects.exists()


# --- Admin ------------------------------------------------------------------------------------------------------------


def test_the_admin_shows_sent_mail_as_far_as_its_reader_may_read(acme: Desk, story: Any, deliver: Deliver) -> None:
    watch_ticket(actor=acme.actor("manager"), ticket_id=story.pk)
    comment_on_ticket(actor=acme.actor("agent"), ticket_id=story.pk, body="An internal matter", audience="internal")
    deliver()
    admin = browser(acme, "admin")
    page = admin.get("/t/acme/admin/notify/dispatch/")
    assert f"Re: {story.number} The printer is on fire" in page.text
    assert "(not yours to read)" in page.text
    with acme.inside():
        open_row = Dispatch.objects.filter(internal=False).first()
        closed = Dispatch.objects.get(internal=True)
        assert "An internal matter" in closed.text
    assert "replied" in admin.get(f"/t/acme/admin/notify/dispatch/{open_row.pk}/change/").text
    hidden = admin.get(f"/t/acme/admin/notify/dispatch/{closed.pk}/change/")
    assert (hidden.status_code, "An internal matter" in hidden.text) == (200, False)
    assign_ticket(actor=acme.system, ticket_id=story.pk, team_id=acme.teams["hr"].pk)
    assert "printer" not in admin.get("/t/acme/admin/notify/dispatch/").text
    for name in ("agent", "manager", "owner", "auditor"):
        assert browser(acme, name).get("/t/acme/admin/notify/dispatch/").status_code == 403


def test_endpoints_in_the_admin_show_their_secret_once(acme: Desk) -> None:
    admin = browser(acme, "admin")
    made = admin.post(
        "/t/acme/admin/notify/endpoint/add/",
        {
            "name": "Pager",
            "url": "https://hooks.example.org/",
            "kinds": "incident.\nticket.assigned",
            "is_active": "on",
        },
    )
    assert made.status_code == 200
    [secret] = re.findall(r"whsec_[\w+/=]+", made.text)
    with acme.inside():
        row = Endpoint.objects.get()
        assert row.kinds == ["incident.", "ticket.assigned"]
        assert secret not in row.secret
    change = f"/t/acme/admin/notify/endpoint/{row.pk}/change/"
    assert "whsec_" not in admin.get(change).text
    bad = admin.post(change, {"name": "Pager", "url": "https://127.0.0.1/", "kinds": "", "is_active": "on"})
    assert (bad.status_code, "public internet" in bad.text) == (400, True)
    saved = admin.post(change, {"name": "Pager 2", "url": "https://hooks.example.org/", "kinds": ""})
    assert saved.status_code == 302
    rotated = admin.post(
        "/t/acme/admin/notify/endpoint/", {"action": "rotate", "_selected_action": str(row.pk), "index": "0"}
    )
    assert "whsec_" in rotated.text
    assert "no-store" in rotated["Cache-Control"]
    with acme.inside():
        row = Endpoint.objects.get()
        assert (row.name, row.kinds, row.is_active, row.previous_until is None) == ("Pager 2", [], False, False)
        kinds = Event.objects.filter(kind__startswith="webhook.").order_by("pk").values_list("kind", flat=True)
        assert list(kinds) == ["webhook.created", "webhook.changed", "webhook.rotated"]


def test_templates_in_the_admin(acme: Desk) -> None:
    admin = browser(acme, "admin")
    words = {"key": "reply", "language": "de", "subject": "Neu: {ticket.number}", "text": "{event.body}"}
    assert admin.get("/t/acme/admin/notify/messagetemplate/add/").status_code == 200
    wrong = admin.post("/t/acme/admin/notify/messagetemplate/add/", {**words, "text": "{nothing}"})
    assert (wrong.status_code, "is no placeholder" in wrong.text) == (400, True)
    assert admin.post("/t/acme/admin/notify/messagetemplate/add/", words).status_code == 302
    with acme.inside():
        row = MessageTemplate.objects.get()
    change = f"/t/acme/admin/notify/messagetemplate/{row.pk}/change/"
    assert admin.post(change, {"subject": "Other", "text": "{event.body}"}).status_code == 302
    with acme.inside():
        assert MessageTemplate.objects.get().subject == "Other"
    admin.post(
        "/t/acme/admin/notify/messagetemplate/",
        {"action": "go_back", "_selected_action": str(row.pk), "index": "0"},
    )
    with acme.inside():
        assert not MessageTemplate.objects.exists()


# --- API --------------------------------------------------------------------------------------------------------------


def test_the_inbox_by_api(acme: Desk, story: Any) -> None:
    token = {"Authorization": f"Bearer {acme.token('requester')}"}
    client = Client()
    answer = client.get("/api/v1/me/notifications/?limit=1&count=true", headers=token).json()
    assert answer["total"] == 2
    [newest] = answer["results"]
    assert newest["ticket"] == {
        "id": str(story.pk), "number": story.number, "kind": "incident", "title": "The printer is on fire",
    }  # fmt: skip
    assert (newest["topic"], newest["text"], newest["read_at"]) == ("reply", "agent of acme replied", None)
    older = client.get(answer["next"], headers=token).json()["results"]
    assert [row["id"] for row in older] != [newest["id"]]
    read = client.post(f"/api/v1/me/notifications/{newest['id']}/read/", content_type="application/json", headers=token)
    assert (read.status_code, read.json()["read_at"] is None) == (200, False)
    left = client.get("/api/v1/me/notifications/?unread=true", headers=token).json()["results"]
    assert [row["id"] for row in left] == [older[0]["id"]]
    assert client.post("/api/v1/me/notifications/read/", content_type="application/json", headers=token).json() == {
        "read": 1
    }
    assert client.get("/api/v1/me/notifications/?unread=true", headers=token).json()["results"] == []
    assert (
        client.post(
            f"/api/v1/me/notifications/{uuid4()}/read/", content_type="application/json", headers=token
        ).status_code
        == 404
    )
    assert (
        client.post("/api/v1/me/notifications/x/read/", content_type="application/json", headers=token).status_code
        == 404
    )


def test_scopes_open_the_inbox(acme: Desk, story: Any) -> None:
    reading = {"Authorization": f"Bearer {acme.token('requester', 'notifications:read')}"}
    other = {"Authorization": f"Bearer {acme.token('requester', 'incidents:read')}"}
    client = Client()
    assert client.get("/api/v1/me/notifications/", headers=reading).status_code == 200
    assert (
        client.post("/api/v1/me/notifications/read/", content_type="application/json", headers=reading).status_code
        == 403
    )
    assert (
        client.patch("/api/v1/me/notification-preferences/", "{}", "application/json", headers=reading).status_code
        == 403
    )
    assert client.get("/api/v1/me/notifications/", headers=other).status_code == 403
    # Who may not read incidents by this token learns of none.
    assert {row["ticket"] for row in client.get("/api/v1/me/notifications/", headers=reading).json()["results"]} == {
        None
    }
    assert unread(acme, "requester") == 2


def test_preferences_by_api(acme: Desk) -> None:
    token = {"Authorization": f"Bearer {acme.token('agent')}"}
    client, address = Client(), "/api/v1/me/notification-preferences/"
    before = client.get(address, headers=token).json()
    assert before["topics"]["assigned_team"] == {"inbox": False, "email": False}
    assert before["quiet_start"] is None
    sent = '{"topics": {"assigned_team": {"email": true}}, "quiet_start": "22:00", "quiet_end": "06:00"}'
    after = client.patch(address, sent, "application/json", headers=token).json()
    assert after["topics"]["assigned_team"] == {"inbox": False, "email": True}
    assert (after["quiet_start"], after["quiet_end"]) == ("22:00", "06:00")
    for bad, pointer in (
        ('{"topics": {"x": {"email": true}}}', "/topics"),
        ('{"topics": {"reply": {"email": "yes"}}}', "/topics/reply"),
        ('{"topics": []}', "/topics"),
        ('{"quiet_start": "25:00"}', "/quiet_start"),
        ('{"quiet_end": null}', "/quiet_end"),
        ('{"digest": "weekly"}', "/digest"),
        ('{"digest_at": null}', "/digest_at"),
        ('{"pages_in_quiet": "no"}', "/pages_in_quiet"),
        ('{"unknown": 1}', "/unknown"),
    ):
        refused = client.patch(address, bad, "application/json", headers=token)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, pointer), bad
    assert client.get(address, headers=token).json() == after
