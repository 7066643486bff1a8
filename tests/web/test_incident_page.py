"""The incident page: what each reader sees, what each button does, and what a refusal leaves behind."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from incidents import commands
from incidents.models import Incident
from incidents.web.actions import ACTIONS
from itsm.access.commands import update_person
from itsm.events.models import Event
from itsm.events.relay import relay
from itsm.tickets.commands import (
    assign_ticket,
    attach_file,
    comment_on_ticket,
    link_tickets,
    update_ticket,
)
from itsm.tickets.models import Attachment, Comment, NumberSeries, Service, Ticket, TicketLink, Watcher
from tests.factories import Desk
from tests.web.conftest import Browser


def url(desk: Desk, ticket: Ticket, name: str = "") -> str:
    return f"{desk.prefix}/incidents/{ticket.number}/{name + '/' if name else ''}"


def post(client: Client, desk: Desk, ticket: Ticket, name: str, **data: Any) -> Any:
    """Send a form as it would be sent by somebody who has just read the page."""
    with desk.inside():
        now = Ticket.objects.get(pk=ticket.pk)
    data.setdefault("version", now.version)
    data.setdefault("seen", now.last_sequence)
    return client.post(url(desk, ticket, name), data)


def state_of(desk: Desk, ticket: Ticket) -> int:
    with desk.inside():
        return int(Ticket.objects.get(pk=ticket.pk).state)


def events_of(desk: Desk, ticket: Ticket) -> int:
    with desk.inside():
        return Event.objects.filter(ticket_id=ticket.pk).count()


def text(response: Any) -> str:
    return str(response.content.decode())


def test_log_take_comment_hold_resume_resolve_reopen_close(acme: Desk, browser: Browser) -> None:
    requester, agent = browser("requester"), browser("agent")
    logged = requester.post(
        f"{acme.prefix}/incidents/new/",
        {"title": "No mail", "description": "Since *nine*", "impact": "2", "urgency": "1"},
    )
    assert (logged.status_code, logged["Location"]) == (302, f"{acme.prefix}/incidents/INC0001001/")
    with acme.inside():
        ticket = Ticket.objects.get(number="INC0001001")
    assert (ticket.title, ticket.priority, ticket.channel) == ("No mail", 2, "web")
    page = text(requester.get(url(acme, ticket)))
    assert "INC0001001" in page
    assert "Since <em>nine</em>" in page
    for name, data, state in (
        ("take", {}, 2),
        ("comment", {"audience": "public", "body": "On it"}, 2),
        ("hold", {"hold_reason": "awaiting_caller", "comment": "Which server?"}, 3),
        ("resume", {}, 2),
        ("resolve", {"close_code": "solution_provided", "close_notes": "Restarted it"}, 6),
    ):
        done = post(agent, acme, ticket, name, **data)
        assert (name, done.status_code, done["Location"]) == (name, 302, url(acme, ticket))
        assert state_of(acme, ticket) == state
    assert post(requester, acme, ticket, "reopen", reason="Gone again").status_code == 302
    assert state_of(acme, ticket) == 2
    assert post(agent, acme, ticket, "resolve", close_code="known_error", close_notes="x").status_code == 302
    assert post(requester, acme, ticket, "close").status_code == 302
    assert state_of(acme, ticket) == 7
    assert "is closed" in text(requester.get(url(acme, ticket)))


@pytest.mark.parametrize("who", ["agent", "hr", "manager", "owner", "admin", "auditor", "requester"])
def test_each_role_reads_the_page(acme: Desk, browser: Browser, who: str) -> None:
    ticket = acme.incident()
    response = browser(who).get(url(acme, ticket))
    assert response.status_code == 200
    page = text(response)
    works = who in {"agent", "hr", "manager", "owner"}
    assert ('value="take"' in page or "/take/" in page) == works
    assert ("/edit/" in page) == works
    assert ("/comment/" in page) == (works or who == "requester")
    assert ("Internal note" in page) == works


@pytest.mark.parametrize("who", ["colleague", "other_manager"])
def test_who_may_not_see_it_gets_the_same_answer_as_for_no_ticket(acme: Desk, browser: Browser, who: str) -> None:
    ticket = acme.incident()
    client = browser(who)
    hidden, absent = client.get(url(acme, ticket)), client.get(f"{acme.prefix}/incidents/INC0009999/")
    assert (hidden.status_code, absent.status_code) == (404, 404)

    def bare(response: Any) -> str:
        return re.sub(r"<code>.*?</code>|value=\"\w{64}\"", "", text(response))

    assert bare(hidden) == bare(absent)
    assert post(client, acme, ticket, "cancel", reason="x").status_code == 404
    assert (state_of(acme, ticket), events_of(acme, ticket)) == (1, 1)


def test_another_tenants_incident_does_not_exist(acme: Desk, globex: Desk, browser: Browser) -> None:
    acme.incident()
    globex.incident()
    theirs = globex.incident(title="Globex only")
    client = browser("agent")
    assert client.get(url(acme, theirs)).status_code == 404
    assert client.get(url(globex, theirs)).status_code == 404
    assert post(client, globex, theirs, "cancel", reason="x").status_code == 404
    assert state_of(globex, theirs) == 1


@pytest.mark.parametrize("number", ["INC0001001%00", "%F0%9F%92%A9", "0", "INC" + "9" * 400, "../etc/passwd", "'"])
def test_strange_numbers_are_unknown_pages(acme: Desk, browser: Browser, number: str) -> None:
    assert browser("agent").get(f"{acme.prefix}/incidents/{number}/").status_code == 404


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("take", {}),
        ("start", {}),
        ("hold", {"hold_reason": "awaiting_vendor"}),
        ("resolve", {"close_code": "known_error", "close_notes": "x"}),
        ("assign", {"team": ""}),
        ("edit", {"title": "Mine", "impact": "1", "urgency": "1", "requester": "requester@acme.example"}),
        ("merge", {"number": "INC0001002"}),
        ("link", {"kind": "relates_to", "number": "INC0001002"}),
        ("comment", {"audience": "internal", "body": "x"}),
    ],
)
def test_a_requester_cannot_do_the_desks_work(acme: Desk, browser: Browser, name: str, data: dict[str, str]) -> None:
    ticket = acme.incident()
    acme.incident()
    response = post(browser("requester"), acme, ticket, name, **data)
    assert response.status_code == (400 if name == "comment" else 403)
    with acme.inside():
        assert Ticket.objects.get(pk=ticket.pk).version == 1
        assert Event.objects.filter(ticket_id=ticket.pk).count() == 1
        assert Event.objects.filter(kind="access.refused").count() == (0 if name == "comment" else 1)


def test_csrf_is_enforced(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    client = browser("agent", csrf=True)
    refused = client.post(url(acme, ticket, "cancel"), {"version": 1, "reason": "x"})
    assert refused.status_code == 403
    assert "expired" in text(refused)
    assert (state_of(acme, ticket), events_of(acme, ticket)) == (1, 1)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text(client.get(url(acme, ticket))))
    assert token
    data = {"version": 1, "seen": 1, "reason": "x", "csrfmiddlewaretoken": token[1]}
    assert client.post(url(acme, ticket, "cancel"), data).status_code == 302


def test_a_conflict_shows_what_changed_and_keeps_what_was_typed(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    stale = {"version": ticket.version, "seen": ticket.last_sequence}
    update_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, impact=1)
    sent = {**stale, "close_code": "known_error", "close_notes": "My long text & more"}
    response = post(browser("agent"), acme, ticket, "resolve", **sent)
    page = text(response)
    assert response.status_code == 412
    assert "This changed while you were writing" in page
    assert "manager of acme" in page
    assert "My long text &amp; more" in page
    assert '<option value="known_error" selected>' in page
    assert state_of(acme, ticket) == 1
    # The form on the new page carries the new version: sending it again works.
    versions = set(re.findall(r'name="version" value="(\d+)"', page))
    assert versions == {"2"}
    assert post(browser("agent"), acme, ticket, "resolve", **{**sent, "version": 2}).status_code == 302


def test_after_a_conflict_untouched_fields_follow_the_ticket(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident(title="Old title", impact=3)
    was = {
        "initial-title": "Old title",
        "initial-description": "",
        "initial-impact": "3",
        "initial-urgency": "3",
        "initial-service": "",
        "initial-category": "",
        "initial-requester": "requester@acme.example",
    }
    typed = {
        "title": "My new title",
        "description": "",
        "impact": "3",
        "urgency": "3",
        "service": "",
        "category": "",
        "requester": "requester@acme.example",
    }
    update_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, impact=1)
    response = post(browser("agent"), acme, ticket, "edit", version=1, seen=1, **was, **typed)
    page = text(response)
    assert response.status_code == 412
    assert 'name="title" value="My new title"' in page
    form = page[page.index('action="/t/acme/incidents/INC0001001/edit/"') :]
    assert re.search(r'<select name="impact"[^>]*>\s*<option value="1" selected>', form)
    again = post(browser("agent"), acme, ticket, "edit", **{**was, "initial-impact": "1"}, **{**typed, "impact": "1"})
    assert again.status_code == 302
    with acme.inside():
        fresh = Ticket.objects.get(pk=ticket.pk)
    assert (fresh.title, fresh.impact, fresh.version) == ("My new title", 1, 3)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("resolve", {"close_code": "known_error", "close_notes": " "}, "This field is required"),
        ("resolve", {"close_code": "duplicate", "close_notes": "kept text"}, "Select a valid choice"),
        ("hold", {"hold_reason": "awaiting_caller", "comment": ""}, "Please fill this in."),
        ("cancel", {"reason": "a\x00b"}, "Null characters are not allowed"),
        ("merge", {"number": "INC0001001"}, "A ticket cannot point to itself."),
        ("merge", {"number": "INC7777777"}, "There is no such ticket"),
        ("parent", {"number": "INC0001001"}, "ancestor"),
        ("comment", {"audience": "public", "body": ""}, "Write something, or choose a file."),
        ("comment", {"audience": "everybody", "body": "kept text"}, "Select a valid choice"),
        ("add-watcher", {"person": "nobody@nowhere.example"}, "Nobody here has this name or address."),
        ("cancel", {"reason": "x", "version": "99999999999999999999"}, "less than or equal"),
        ("cancel", {"reason": "x", "version": ""}, "required"),
        ("reopen", {"reason": "kept text"}, "not possible"),
    ],
)
def test_bad_input_is_named_beside_the_field(
    acme: Desk, browser: Browser, name: str, data: dict[str, str], says: str
) -> None:
    ticket = acme.incident()
    response = post(browser("agent"), acme, ticket, name, **data)
    page = text(response)
    assert response.status_code == (409 if name == "reopen" else 400)
    assert says in page
    if "kept text" in data.values():
        assert "kept text" in page
    assert (state_of(acme, ticket), events_of(acme, ticket)) == (1, 1)


def test_a_closed_incident_shows_no_verbs_and_refuses_every_post(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    agent = browser("agent")
    commands.cancel_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="no")
    page = text(agent.get(url(acme, ticket)))
    actions = set(re.findall(r'action="[^"]*INC0001001/([a-z-]+)/"', page))
    assert actions == {"follow-up"}
    before = events_of(acme, ticket)
    for name, data in (
        ("take", {}),
        ("resolve", {"close_code": "known_error", "close_notes": "x"}),
        ("reopen", {"reason": "x"}),
        ("comment", {"audience": "public", "body": "my late words"}),
        ("watch", {}),
        ("assign", {"team": str(acme.teams["apps"].pk), "initial-team": ""}),
    ):
        response = post(agent, acme, ticket, name, **data)
        assert (name, response.status_code) == (name, 409)
    assert "my late words" in text(post(agent, acme, ticket, "comment", audience="public", body="my late words"))
    assert (state_of(acme, ticket), events_of(acme, ticket)) == (8, before)
    follow = post(browser("requester"), acme, ticket, "follow-up", description="It is back")
    assert follow["Location"] == f"{acme.prefix}/incidents/INC0001002/"


SECRETS = ("They lied to us", "dossier.pdf", "INC0001002", "colleague of acme", "apps")


def test_requesters_never_meet_the_internal_side(acme: Desk, browser: Browser) -> None:
    ticket, other = acme.incident(), acme.incident("colleague", title="Other")
    agent = acme.actor("agent")
    comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="They lied to us", audience="internal")
    with acme.inside():
        attach_file(
            actor=agent, ticket_id=ticket.pk, name="dossier.pdf", content=BytesIO(b"%PDF-"), size=5, audience="internal"
        )
        secret = Attachment.objects.get()
    link_tickets(actor=agent, ticket_id=ticket.pk, target_id=other.pk)
    assign_ticket(actor=agent, ticket_id=ticket.pk, team_id=acme.teams["apps"].pk)
    requester = browser("requester")
    for path in (url(acme, ticket), f"{acme.prefix}/incidents/mine/", f"{acme.prefix}/incidents/new/"):
        page = text(requester.get(path))
        assert [secret_word for secret_word in SECRETS if secret_word in page] == []
    refused = text(post(requester, acme, ticket, "cancel", reason=""))
    assert [secret_word for secret_word in SECRETS if secret_word in refused] == []
    assert requester.get(url(acme, ticket, f"files/{secret.pk}")).status_code == 404
    page = text(browser("agent").get(url(acme, ticket)))
    assert [secret_word for secret_word in SECRETS if secret_word not in page] == ["colleague of acme"]


def test_a_restricted_teams_ticket_leaves_the_page_of_who_hands_it_over(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    hr_only = acme.incident("colleague", title="Hidden matter")
    with acme.inside():
        assign_ticket(actor=acme.actor("hr"), ticket_id=hr_only.pk, team_id=acme.teams["hr"].pk)
        link_tickets(actor=acme.actor("hr"), ticket_id=ticket.pk, target_id=hr_only.pk)
    agent = browser("agent")
    page = text(agent.get(url(acme, ticket)))
    assert "Hidden matter" not in page
    assert hr_only.number not in page
    assert "Hidden matter" in text(browser("hr").get(url(acme, ticket)))
    assert agent.get(url(acme, hr_only)).status_code == 404
    for name, data in (
        ("link", {"kind": "relates_to", "number": hr_only.number}),
        ("merge", {"number": hr_only.number}),
        ("parent", {"number": hr_only.number}),
        ("assign", {"team": str(acme.teams["hr"].pk), "initial-team": ""}),
    ):
        assert (name, post(agent, acme, ticket, name, **data).status_code) == (name, 400)
    with acme.inside():
        assert TicketLink.objects.count() == 1


ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7|add:7 }}{% csrf_token %}",
    "javascript:alert(1)",
    "[click](javascript:alert(1)) ![x](http://evil.example/t.png) <b onclick=alert(1)>b</b>",
    "[a](data:text/html,<script>alert(1)</script>) <svg/onload=alert(1)>",
    "[in](/accounts/logout/) [ok](https://example.org/)",
)


def test_hostile_texts_are_inert(acme: Desk, browser: Browser) -> None:
    agent = browser("agent")
    eve = '<script>alert(2)</script> "><img src=x onerror=alert(3)>'
    update_person(actor=acme.system, person_id=acme.people["requester"].pk, name=eve)
    for attack in ATTACKS:
        ticket = acme.incident(title=attack[:200], description=attack)
        with acme.inside():
            comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body=attack)
            attach_file(
                actor=acme.actor("agent"),
                ticket_id=ticket.pk,
                name=attack.replace("/", "_")[:100] + ".txt",
                content=BytesIO(b"x"),
                size=1,
            )
        for page in (
            text(agent.get(url(acme, ticket))),
            text(agent.get(f"{acme.prefix}/queue/?q={'x' * 3}&view=all")),
            text(agent.get(f"{acme.prefix}/queue/", {"q": attack})),
            text(agent.get(f"{acme.prefix}/queue/")),
            text(post(agent, acme, ticket, "resolve", close_code=attack, close_notes=attack)),
        ):
            ours = '<script src="/static/itsm/drafts.js" defer>'
            tags = [tag for tag in re.findall(r"<[^>]+>", page) if tag != ours]
            assert not [tag for tag in tags if tag.startswith(("<script", "<img", "<svg", "<b ", "<i>"))]
            assert not [tag for tag in tags if re.search(r"\son[a-z]+\s*=", tag.split('="')[0])]
            assert not re.findall(r'href="(?!/|https?://|mailto:|\?|#)[^"]*"', page)
            assert 'href="/accounts/logout/"' not in page
    assert 'rel="nofollow noopener noreferrer"' in text(agent.get(url(acme, ticket)))


def test_no_page_carries_inline_code_and_the_policy_is_strict(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    response = browser("agent").get(url(acme, ticket))
    assert "unsafe" not in response["Content-Security-Policy"]
    page = text(response)
    assert re.findall(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=", page) == []
    assert '<html lang="en" dir="ltr">' in page


def test_files_go_up_and_come_down_inert(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    requester = browser("requester")
    upload = SimpleUploadedFile("../../evil\u202e name.txt", b"<script>alert(1)</script>", content_type="text/html")
    sent = post(requester, acme, ticket, "comment", audience="public", body="See file", file=upload)
    assert sent.status_code == 302
    with acme.inside():
        file = Attachment.objects.get()
        assert Comment.objects.get().body == "See file"
    response = requester.get(url(acme, ticket, f"files/{file.pk}"))
    assert response.status_code == 200
    assert b"".join(response.streaming_content) == b"<script>alert(1)</script>"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["Content-Type"] == "application/octet-stream"
    assert browser("colleague").get(url(acme, ticket, f"files/{file.pk}")).status_code == 404
    program = SimpleUploadedFile("setup.exe", b"MZ")
    refused = post(requester, acme, ticket, "comment", audience="public", body="kept text", file=program)
    assert refused.status_code == 400
    assert "kept text" in text(refused)
    assert ".exe" in text(refused)
    with acme.inside():
        assert (Attachment.objects.count(), Comment.objects.count()) == (1, 1)
    assert post(browser("agent"), acme, ticket, "detach", file=str(file.pk)).status_code == 302
    assert requester.get(url(acme, ticket, f"files/{file.pk}")).status_code == 404


def test_side_fields_watchers_links_parent_and_merge(acme: Desk, browser: Browser) -> None:
    ticket, parent, twin = acme.incident(), acme.incident(), acme.incident("colleague")
    with acme.inside():
        service = Service.objects.create(tenant_id=acme.tenant.pk, name="Mail")
    agent = browser("agent")
    assert "Mail" in text(agent.get(url(acme, ticket)))
    edited = post(
        agent, acme, ticket, "edit", **{
            "title": "New title", "initial-title": "The printer is on fire", "impact": "1", "initial-impact": "3",
            "urgency": "3", "initial-urgency": "3", "service": str(service.pk), "initial-service": "",
            "requester": "colleague@acme.example", "initial-requester": "requester@acme.example",
        },
    )  # fmt: skip
    assert edited.status_code == 302
    for name, data in (
        ("assign", {"team": str(acme.teams["apps"].pk), "assignee": str(acme.people["agent"].pk)}),
        ("add-watcher", {"person": "requester@acme.example"}),
        ("watch", {}),
        ("link", {"kind": "relates_to", "number": twin.number.lower()}),
        ("parent", {"number": parent.number}),
    ):
        assert (name, post(agent, acme, ticket, name, **data).status_code) == (name, 302)
    with acme.inside():
        fresh = Ticket.objects.get(pk=ticket.pk)
        assert (fresh.title, fresh.impact, fresh.priority, fresh.service_id) == ("New title", 1, 3, service.pk)
        assert (fresh.requester_id, fresh.parent_id) == (acme.people["colleague"].pk, parent.pk)
        assert (fresh.team_id, fresh.assignee_id) == (acme.teams["apps"].pk, acme.people["agent"].pk)
        assert Watcher.objects.filter(ticket_id=ticket.pk).count() == 2
        link = TicketLink.objects.get()
    page = text(agent.get(url(acme, ticket)))
    assert twin.number in page
    assert parent.number in page
    assert post(agent, acme, ticket, "unlink", link=str(link.pk)).status_code == 302
    assert post(agent, acme, ticket, "unwatch", person=str(acme.people["requester"].pk)).status_code == 302
    assert post(agent, acme, ticket, "unwatch").status_code == 302
    assert post(agent, acme, twin, "merge", number=ticket.number).status_code == 302
    with acme.inside():
        assert (Watcher.objects.filter(ticket_id=ticket.pk).count(), TicketLink.objects.count()) == (0, 1)
        assert Incident.objects.get(pk=twin.pk).close_code == "duplicate"
        assert Ticket.objects.get(pk=twin.pk).duplicate_of_id == ticket.pk


def test_the_number_of_queries_does_not_grow(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    agent, actor = browser("agent"), acme.actor("agent")

    def grow(count: int) -> None:
        for number in range(count):
            other = acme.incident()
            comment_on_ticket(actor=actor, ticket_id=ticket.pk, body=f"Words {number}")
            link_tickets(actor=actor, ticket_id=ticket.pk, target_id=other.pk)

    def spent() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert agent.get(url(acme, ticket)).status_code == 200
        return len(queries)

    grow(2)
    few = spent()
    grow(6)
    assert spent() == few
    assert few <= 32


def test_work_starts_without_taking_it(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    assert post(browser("agent"), acme, ticket, "start")["Location"] == url(acme, ticket)
    with acme.inside():
        now = Ticket.objects.get(pk=ticket.pk)
        assert (now.state, now.assignee_id) == (2, None)
        assert Event.objects.filter(ticket_id=ticket.pk).order_by("-sequence")[0].kind == "incident.started"


def test_reading_a_verbs_address_leads_to_the_page(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    agent = browser("agent")
    for name in ACTIONS:
        answer = agent.get(url(acme, ticket, name))
        assert (answer.status_code, answer["Location"]) == (302, url(acme, ticket)), name
    assert agent.get(url(acme, ticket, "explode")).status_code == 404
    assert agent.put(url(acme, ticket)).status_code == 405


def test_a_refused_file_costs_no_number(acme: Desk, browser: Browser) -> None:
    client, data = browser("requester"), {"title": "With a file", "description": "", "impact": "3", "urgency": "3"}
    bad = SimpleUploadedFile("virus.exe", b"MZ")
    answer = client.post(f"{acme.prefix}/incidents/new/", {**data, "file": bad})
    assert answer.status_code == 400
    with acme.inside():
        assert NumberSeries.objects.get(kind="incident").last_value == 1000
        assert not Ticket.objects.exists()


def test_a_file_that_the_storage_has_lost_is_unknown(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    file = attach_file(actor=acme.actor("requester"), ticket_id=ticket.pk, name="a.txt", content=BytesIO(b"x"), size=1)
    address = f"{acme.prefix}/incidents/{ticket.number}/files/{file.pk}/"
    answer = browser("requester").get(address)
    assert (answer.getvalue(), answer["Content-Type"]) == (b"x", "application/octet-stream")
    relay(acme.tenant.pk)
    with acme.inside():
        default_storage.delete(Attachment.objects.get(pk=file.pk).storage_key)
    assert browser("requester").get(address).status_code == 404
