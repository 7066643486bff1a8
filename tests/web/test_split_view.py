"""The queue with a ticket open beside the list: whole pages for everybody, pieces for the script, the way back for both."""

from __future__ import annotations

import re

import pytest
from django.test import override_settings

from incidents.commands import take_incident
from itsm.events.models import Event
from itsm.tenancy.models import Person
from itsm.tickets.models import Ticket
from tests.factories import Desk
from tests.web.conftest import Browser
from tests.web.sending import events_of, post, state_of, text

PART = {"HX-Request": "true", "HX-Request-Type": "partial"}
SENT = {**PART, "HX-Source": "form"}


def opened(page: str) -> list[str]:
    """The numbers in the pane's forms."""
    return sorted(set(re.findall(r'action="/t/acme/incidents/(INC\d+)/comment/', page)))


def marked(page: str) -> list[str]:
    return re.findall(r'<a aria-current="true" class="title" href="([^"]+)"', page)


def test_the_address_names_list_and_ticket(acme: Desk, browser: Browser) -> None:
    first, second = acme.incident(title="First"), acme.incident(title="Second", impact=1, urgency=1)
    agent = browser("agent")
    page = text(agent.get(f"{acme.prefix}/queue/?view=unassigned&sort=-updated&open={first.number.lower()}"))
    assert opened(page) == [first.number]
    assert marked(page) == [f"?view=unassigned&amp;sort=-updated&amp;open={first.number}"]
    assert f'href="?view=unassigned&amp;sort=-updated&amp;open={second.number}"' in page
    assert 'id="close-pane"' in page
    assert f'href="{acme.prefix}/queue/?view=unassigned&amp;sort=-updated" id="close-pane"' in page
    assert len(re.findall("<h1", page)) == 1
    nothing = text(agent.get(f"{acme.prefix}/queue/"))
    assert (opened(nothing), marked(nothing)) == ([], [])
    assert "No ticket is open." in nothing


@pytest.mark.parametrize("number", ["INC9999999", "x", "%00", "a" * 300, "%F0%9F%92%A9"])
def test_a_ticket_that_is_not_there_is_said_and_the_list_stays(acme: Desk, browser: Browser, number: str) -> None:
    acme.incident(title="In the list")
    for headers in ({}, PART):
        answer = browser("agent").get(f"{acme.prefix}/queue/?open={number}", headers=headers)
        assert answer.status_code == 404
        assert "that you may see" in text(answer)
        assert ("In the list" in text(answer)) is (not headers)


def test_what_one_may_not_see_cannot_be_opened(acme: Desk, globex: Desk, browser: Browser) -> None:
    theirs = globex.incident(title="Of another house")
    with globex.inside():
        Ticket.objects.filter(pk=theirs.pk).update(number="INC7777777")
    secret = acme.incident("hr", title="Salary list", team_id=acme.teams["hr"].pk)
    for number in ("INC7777777", secret.number):
        answer = browser("agent").get(f"{acme.prefix}/queue/?open={number}", headers=PART)
        assert answer.status_code == 404
        assert "Salary" not in text(answer)
        assert "another house" not in text(answer)


def test_the_script_gets_the_pane_and_no_cache_mixes_the_two(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    address = f"{acme.prefix}/queue/?view=open&open={ticket.number}"
    agent = browser("agent")
    whole, part = agent.get(address), agent.get(address, headers=PART)
    for answer in (whole, part):
        assert "HX-Request-Type" in answer["Vary"]
    assert part["Cache-Control"] == "no-store"
    assert "no-store" not in whole.get("Cache-Control", "")
    page = text(part)
    assert "<html" not in page
    assert opened(page) == [ticket.number]
    assert f'<hx-partial hx-target="#row-{ticket.number}"' in page
    assert 'hx-target="#views"' not in page
    # Going back in the browser asks for the whole page, of which the script takes the pane.
    back = agent.get(address, headers={"HX-Request": "true", "HX-Request-Type": "full"})
    assert "<html" in text(back)


def test_a_verb_of_the_pane_leads_back_to_the_list(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    agent = browser("agent")
    done = post(agent, acme, ticket, "take", beside="view=unassigned&sort=-updated&open=INC1")
    assert done["Location"] == f"{acme.prefix}/queue/?view=unassigned&sort=-updated&open={ticket.number}"
    assert state_of(acme, ticket) == 2
    after = agent.get(done["Location"], headers=SENT)
    page = text(after)
    assert after["HX-Replace-Url"] == done["Location"]
    assert "It is yours now." in page
    row = page[page.index(f'<tr class="row" id="row-{ticket.number}"') :]
    assert "In Progress" in row
    assert re.findall(r'<span class="count">(\d+)</span>', page) == ["1", "0", "1", "0", "0", "0", "1", "0"]
    assert '<li><a href="/t/acme/queue/?view=unassigned" aria-current="true">' in page


@pytest.mark.parametrize("beside", ["//evil.example/?x=", "https://evil.example", "\r\nX: y", "open=%00", "a" * 5000])
def test_the_way_back_is_always_the_queue(acme: Desk, browser: Browser, beside: str) -> None:
    ticket = acme.incident()
    done = post(browser("agent"), acme, ticket, "take", beside=beside)
    assert done.status_code == 302
    assert re.fullmatch(rf"/t/acme/queue/\?[\x21-\x7e]*open={ticket.number}", done["Location"])


def test_a_refusal_stays_in_the_pane_or_is_a_page(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    agent = browser("agent")
    part = post(
        agent, acme, ticket, "resolve", beside="view=open", script=True, close_code="", close_notes="Kept words"
    )
    page = post(agent, acme, ticket, "resolve", beside="view=open", close_code="", close_notes="Kept words")
    for answer, whole in ((part, False), (page, True)):
        assert answer.status_code == 400
        assert "Kept words" in text(answer)
        assert ("<html" in text(answer)) is whole
        assert "/resolve/?queue=view%3Dopen" in text(answer)
    assert f'<a href="/t/acme/queue/?view=open&amp;open={ticket.number}">Back to the queue</a>' in text(page)
    take_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
    stale = post(agent, acme, ticket, "cancel", beside="view=open", script=True, version=1, seen=1, reason="Mine")
    assert stale.status_code == 412
    assert "This changed while you were writing" in text(stale)
    assert "<html" not in text(stale)
    forbidden = post(browser("auditor"), acme, ticket, "take", beside="view=open", script=True)
    assert forbidden.status_code == 403
    assert "<html" not in text(forbidden)
    assert "You may not do this" in text(forbidden)
    assert state_of(acme, ticket) == 2


def test_layout_is_remembered(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    agent = browser("agent")
    assert 'id="pane"' in text(agent.get(f"{acme.prefix}/queue/"))
    answer = agent.post(f"{acme.prefix}/queue/layout/", {"split": "0", "queue": "view=mine&sort=-updated"})
    assert answer["Location"] == f"{acme.prefix}/queue/?view=mine&sort=-updated"
    alone = text(agent.get(f"{acme.prefix}/queue/"))
    assert 'id="pane"' not in alone
    assert f'href="{acme.prefix}/incidents/{ticket.number}/"' in alone
    # An address that somebody sends still opens what it names.
    assert 'id="pane"' in text(agent.get(f"{acme.prefix}/queue/?open={ticket.number}"))
    with acme.inside():
        assert Person.objects.get(pk=acme.people["agent"].pk).split_queue is False
        assert Event.objects.filter(kind="person.changed").latest("occurred_at").payload["fields"] == ["split_queue"]
    assert agent.get(f"{acme.prefix}/queue/layout/").status_code == 405
    away = agent.post(f"{acme.prefix}/queue/layout/", {"split": "1", "queue": "//evil.example/?x=1"})
    assert away["Location"].startswith(f"{acme.prefix}/queue/?")


def test_heads_sort_and_say_so(acme: Desk, browser: Browser) -> None:
    acme.incident()
    agent = browser("agent")

    def heads(query: str) -> dict[str, tuple[str, str]]:
        page = text(agent.get(f"{acme.prefix}/queue/{query}"))
        found = re.findall(
            r'<th scope="col" class="by-(\w+)"(?: aria-sort="(\w+)")?><a href="[^"]*sort=([^"&]+)"', page
        )
        return {name: (direction, following) for name, direction, following in found}

    assert heads("") == {"priority": ("ascending", "-priority"), "due": ("", "due"), "updated": ("", "-updated")}
    assert heads("?sort=-updated")["updated"] == ("descending", "updated")
    assert heads("?sort=updated")["updated"] == ("ascending", "-updated")
    assert heads("?sort=due")["due"] == ("ascending", "-due")
    assert heads("?sort=-priority")["priority"] == ("descending", "priority")


def test_every_list_says_how_many_and_an_empty_one_what_to_do(acme: Desk, browser: Browser) -> None:
    for _ in range(3):
        acme.incident()
    agent = browser("agent")

    def total(query: str) -> str:
        found = re.search(r"Tickets in this list: </span>([^<]+)<", text(agent.get(f"{acme.prefix}/queue/{query}")))
        assert found
        return found[1]

    assert [total(q) for q in ("", "?view=mine", "?priority=5", "?priority=1", "?view=all")] == [
        "3",
        "0",
        "3",
        "0",
        "3",
    ]
    filtered = text(agent.get(f"{acme.prefix}/queue/?view=open&priority=1"))
    assert f'<a class="button" href="{acme.prefix}/queue/?view=open">Clear the filters</a>' in filtered
    assert "No work in this view." in text(agent.get(f"{acme.prefix}/queue/?view=mine"))


def test_keys_can_be_turned_off(acme: Desk, browser: Browser) -> None:
    agent = browser("agent")
    assert "data-single-keys" in text(agent.get(f"{acme.prefix}/queue/"))
    answer = agent.post(f"{acme.prefix}/profile/", {"language": "", "time_zone": "UTC", "split_queue": "on"})
    assert answer.status_code == 302
    page = text(agent.get(f"{acme.prefix}/queue/"))
    assert "data-single-keys" not in page
    assert "You have turned single keys off." in page
    with acme.inside():
        person = Person.objects.get(pk=acme.people["agent"].pk)
    assert (person.shortcuts, person.split_queue) == (False, True)


@override_settings(WEB_RATE_LIMIT=(2, 3600))
def test_forms_that_come_too_fast_are_refused_with_a_page(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    agent = browser("agent")
    for _ in range(2):
        assert post(agent, acme, ticket, "comment", body="Words", audience="public").status_code == 302
    before = events_of(acme, ticket)
    refused = post(agent, acme, ticket, "comment", body="Words", audience="public")
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 3600
    assert "This was too fast" in text(refused)
    assert events_of(acme, ticket) == before
    assert agent.get(f"{acme.prefix}/queue/").status_code == 200
    assert post(browser("hr"), acme, ticket, "comment", body="Words", audience="public").status_code == 302
