"""What is offered: the API and the page name the same verbs, for each role and state."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from incidents import commands
from incidents.verbs import allowed_verbs
from incidents.web.actions import ACTIONS, possible
from itsm.tickets.commands import assign_ticket
from itsm.tickets.models import Ticket
from tests.api.caller import Caller
from tests.factories import Desk

#: What an incident has been through.
STORIES: dict[str, Callable[[Desk, Ticket], object]] = {
    "new": lambda desk, ticket: None,
    "mine": lambda desk, ticket: commands.take_incident(actor=desk.actor("agent"), ticket_id=ticket.pk),
    "on hold": lambda desk, ticket: commands.hold_incident(
        actor=desk.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_vendor"
    ),
    "canceled": lambda desk, ticket: commands.cancel_incident(
        actor=desk.actor("agent"), ticket_id=ticket.pk, reason="Mistake"
    ),
    "restricted": lambda desk, ticket: assign_ticket(
        actor=desk.actor("hr"), ticket_id=ticket.pk, team_id=desk.teams["hr"].pk
    ),
}
#: Verbs that the page offers in another place than a button, or the API alone has.
_NO_BUTTON = {"comment_internal"}


#: Of the restricted one, only its requester and the team's members see anything.
ASKED = [
    *(
        (who, story)
        for who in ("requester", "agent", "manager", "auditor")
        for story in STORIES
        if story != "restricted"
    ),
    *((who, "restricted") for who in ("requester", "hr")),
]


@pytest.mark.parametrize(("who", "story"), ASKED)
def test_page_and_api_offer_the_same(acme: Desk, who: str, story: str) -> None:
    ticket = acme.incident()
    with acme.inside():
        STORIES[story](acme, ticket)
        ticket = Ticket.objects.get(pk=ticket.pk)
        actor = acme.actor(who)
        verbs = set(allowed_verbs(actor, ticket))
        offered = possible(actor, ticket)
    assert {ACTIONS[name].verb for name in offered} == verbs - _NO_BUTTON
    assert set(Caller(acme, who).get(f"incidents/{ticket.pk}/").json()["allowed_verbs"]) == verbs


def test_nobody_is_offered_what_is_his_already(acme: Desk) -> None:
    ticket = acme.incident()
    STORIES["mine"](acme, ticket)
    assert "take" not in Caller(acme, "agent").get(f"incidents/{ticket.pk}/").json()["allowed_verbs"]
    assert "take" in Caller(acme, "manager").get(f"incidents/{ticket.pk}/").json()["allowed_verbs"]
    rows = Caller(acme, "agent").get("incidents/").json()["results"]
    assert [("take" in row["allowed_verbs"]) for row in rows] == [False]
