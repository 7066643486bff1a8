"""Major incidents on pages: banner, section, forms, list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from incidents.commands import declare_major, resolve_incident
from incidents.models import MajorAction, MajorIncident
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.tickets.commands import watch_ticket
from itsm.tickets.models import Ticket
from tests.factories import Desk
from tests.web.conftest import Browser
from tests.web.sending import post, text, url

pytestmark = pytest.mark.django_db


def major(desk: Desk, ticket: Ticket) -> MajorIncident:
    with desk.inside():
        return MajorIncident.objects.get(pk=ticket.pk)


def test_declare_lead_tell_resolve_review(acme: Desk, browser: Browser) -> None:
    agent, ticket, child = browser("agent"), acme.incident(impact=1, urgency=1), acme.incident("colleague")
    assert "Declare a major incident" in text(agent.get(url(acme, ticket)))
    for name, data in (
        ("declare-major", {"reason": "All shops are offline."}),
        ("major-roles", {"role": "Technical lead", "person": "owner of acme", "stakeholder": "auditor@acme.example",
                         "commander": str(acme.people["agent"].pk), "initial-commander": str(acme.people["agent"].pk)}),
        ("children", {"children": f"{child.number.lower()}, "}),
        ("major-update", {"body": "We look at the **router**."}),
    ):  # fmt: skip
        done = post(agent, acme, ticket, name, **data)
        assert (name, done.status_code, done.get("Location")) == (name, 302, url(acme, ticket)), text(done)[-3000:]
    page = text(agent.get(url(acme, ticket)))
    for words in ("Major incident", "Next update by", "Technical lead", "owner of acme", "auditor of acme",
                  "One child hears the updates", "We look at the <strong>router</strong>.", "All shops are offline."):  # fmt: skip
        assert words in page, words
    assert "Declare a major incident" not in page
    assert "We look at the <strong>router</strong>." in text(browser("colleague").get(url(acme, child)))
    listed = text(agent.get(f"{acme.prefix}/incidents/major/"))
    assert ticket.number in listed
    assert "Next update by" in listed
    gone = post(agent, acme, ticket, "drop-stakeholder", person=str(acme.people["auditor"].pk))
    assert gone.status_code == 302
    assert "Remove auditor of acme from" not in text(agent.get(url(acme, ticket)))
    resolve_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="known_error", close_notes="x")
    assert "Review by" in text(agent.get(url(acme, ticket)))
    assert "Review by" in text(agent.get(f"{acme.prefix}/incidents/major/"))
    texts = {"went_well": "Quick", "went_badly": "No spare", "causes": "Old switch"}
    half = post(agent, acme, ticket, "major-review", **texts, action_1="Buy one")
    assert (half.status_code, "what, by whom and until when" in text(half)) == (400, True)
    whole = {"action_1": "Buy one", "owner_1": "owner of acme", "due_1": "2100-01-31"}
    assert post(agent, acme, ticket, "major-review", **texts, **whole).status_code == 302
    page = text(agent.get(url(acme, ticket)))
    assert "Buy one" in page
    assert "Old switch" in page
    assert major(acme, ticket).state == "reviewed"
    with acme.inside():
        assert MajorAction.objects.get().owner_id == acme.people["owner"].pk


def test_standing_down_takes_the_banner_away(acme: Desk, browser: Browser) -> None:
    agent, ticket = browser("agent"), acme.incident()
    declare_major(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="x")
    assert post(agent, acme, ticket, "stand-down", reason="").status_code == 400
    assert post(agent, acme, ticket, "stand-down", reason="One shop only.").status_code == 302
    page = text(agent.get(url(acme, ticket)))
    assert 'class="banner' not in page
    assert "One shop only." in page


def test_a_requester_sees_that_it_is_one_and_when_news_comes(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    declare_major(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="secret reason")
    page = text(browser("requester").get(url(acme, ticket)))
    assert "Next update by" in page
    for hidden in ("secret reason", "agent of acme", "Stand down", "Leading it"):
        assert hidden not in page, hidden
    for name in ("declare-major", "major-update", "major-roles", "children", "stand-down", "major-review"):
        assert post(browser("requester"), acme, ticket, name, reason="x").status_code == 403
    assert browser("requester").get(f"{acme.prefix}/incidents/major/").status_code == 403


def test_the_page_warns_of_people_whom_updates_do_not_reach(acme: Desk, browser: Browser) -> None:
    agent, ticket = browser("agent"), acme.incident()
    declare_major(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="x")
    post(agent, acme, ticket, "major-roles", role="Herald", person="owner of acme", stakeholder="auditor@acme.example")
    assert "Updates do not reach" not in text(agent.get(url(acme, ticket)))
    post(
        agent,
        acme,
        ticket,
        "major-roles",
        role="Scribe",
        person="other_manager of acme",
        stakeholder="other_manager@acme.example",
    )
    page = text(agent.get(url(acme, ticket)))
    warning = page.split("Updates do not reach:")[1].split("</ul>")[0]
    assert warning.count("other_manager of acme") == 1
    assert "may not read this incident. Add this person as a watcher." in warning
    assert "auditor of acme" not in warning
    assert "Updates do not reach" not in text(browser("requester").get(url(acme, ticket)))
    watch_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, person_id=acme.people["other_manager"].pk)
    assert "Updates do not reach" not in text(agent.get(url(acme, ticket)))


def test_a_refusal_is_shown_where_it_was_sent(acme: Desk, browser: Browser) -> None:
    agent, ticket = browser("agent"), acme.incident()
    refused = post(agent, acme, ticket, "major-update", body="x")
    assert (refused.status_code, "is no major incident" in text(refused)) == (409, True)
    declare_major(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="x")
    again = post(agent, acme, ticket, "declare-major", reason="typed words")
    assert (again.status_code, "typed words" in text(again)) == (409, True)
    stale = post(agent, acme, ticket, "major-roles", version=1, role="Herald", person="owner of acme")
    assert (stale.status_code, "Herald" in text(stale)) == (412, True)
    lost = post(agent, acme, ticket, "children", children="INC0009999")
    assert lost.status_code == 400
    nameless = post(agent, acme, ticket, "major-roles", person="owner of acme")
    assert nameless.status_code == 400
    with acme.inside():
        kinds = Event.objects.filter(kind__startswith="incident.major").values_list("kind", flat=True)
        assert list(kinds) == ["incident.major_declared"]


def test_the_list_is_empty_then_pages(acme: Desk, browser: Browser, monkeypatch: Any) -> None:
    agent = browser("agent")
    assert "No major incident." in text(agent.get(f"{acme.prefix}/incidents/major/"))
    monkeypatch.setattr("incidents.web.major.PAGE", 2)
    numbers = []
    for _ in range(3):
        ticket = acme.incident()
        declare_major(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="x")
        resolve_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="known_error", close_notes="x")
        numbers.append(ticket.number)
    first = text(agent.get(f"{acme.prefix}/incidents/major/"))
    assert [number in first for number in numbers] == [False, True, True]
    following = first.split('href="?before=')[1].split('"')[0]
    second = text(agent.get(f"{acme.prefix}/incidents/major/?before={following}"))
    assert [number in second for number in numbers] == [True, False, False]
    assert agent.get(f"{acme.prefix}/incidents/major/?before=x").status_code == 404


def test_restricted_majors_are_for_members(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident("hr", team_id=acme.teams["hr"].pk)
    declare_major(actor=acme.actor("hr"), ticket_id=ticket.pk, reason="x")
    assert ticket.number not in text(browser("agent").get(f"{acme.prefix}/incidents/major/"))
    assert ticket.number in text(browser("hr").get(f"{acme.prefix}/incidents/major/"))


def test_an_overdue_update_says_so(acme: Desk, browser: Browser) -> None:
    with clock.at(datetime(2026, 1, 5, 10, tzinfo=UTC)):
        ticket = acme.incident()
        declare_major(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="x")
    assert "Update overdue since" in text(browser("agent").get(url(acme, ticket)))
    assert "Update overdue since" in text(browser("agent").get(f"{acme.prefix}/incidents/major/"))
