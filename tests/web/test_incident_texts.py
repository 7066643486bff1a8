"""What others wrote is shown to those who may read it, and is never run."""

from __future__ import annotations

import re
from io import BytesIO

from itsm.access.commands import update_person
from itsm.tickets.commands import (
    assign_ticket,
    attach_file,
    comment_on_ticket,
    link_tickets,
)
from itsm.tickets.models import Attachment, TicketLink
from tests.factories import Desk
from tests.web.conftest import Browser
from tests.web.sending import post, text, url

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


#: A script of ours, by its address.
OURS = re.compile(r'<script src="/static/[a-z/.]+\.js" defer>')
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
            tags = [tag for tag in re.findall(r"<[^>]+>", page) if not OURS.fullmatch(tag)]
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
