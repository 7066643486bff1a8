"""Major incidents over REST."""

from __future__ import annotations

from typing import Any

import pytest

from incidents.commands import resolve_incident
from itsm.access.commands import create_person, set_person_active
from itsm.events.models import Event
from itsm.events.relay import relay
from itsm.notify.models import Dispatch
from itsm.tickets.commands import watch_ticket
from itsm.tickets.models import Ticket
from tests.api.caller import Caller, problem
from tests.factories import Desk
from tests.sla.desk import at

pytestmark = pytest.mark.django_db


def test_declare_tell_appoint_resolve_review(acme: Desk) -> None:
    agent, owner = Caller(acme), acme.people["owner"]
    ticket, child = acme.incident(impact=1, urgency=1), acme.incident("colleague")
    here = f"incidents/{ticket.number}/"
    body = {
        "reason": "All shops are offline.",
        "roles": [{"name": "Technical lead", "person": str(owner.pk)}],
        "stakeholders": [str(owner.pk)],
    }
    with at(1, 10):
        led = agent.post(f"{here}declare-major/", body, If_Match=agent.get(here)["ETag"])
    assert led.status_code == 200, led.content
    major = led.json()["major"]
    assert (major["state"], major["commander"]["name"]) == ("declared", "agent of acme")
    assert (major["declared_at"], major["next_update_due"]) == ("2026-11-23T10:00:00Z", "2026-11-23T10:30:00Z")
    assert agent.get("incidents/?major=true&fields=number").json()["results"] == [
        {"id": str(ticket.pk), "number": ticket.number}
    ]
    assert [one["number"] for one in agent.get("incidents/?major=false").json()["results"]] == [child.number]
    attached = agent.post(f"{here}children/", {"children": [child.number]}, If_Match=led["ETag"])
    assert attached.status_code == 200
    with at(1, 10, 20):
        sent = agent.post(f"{here}major/updates/", {"body": "The router is replaced."})
    assert (sent.status_code, sent.json()["recipients"], sent.json()["author"]["name"]) == (201, 3, "agent of acme")
    news = agent.get(f"{here}major/updates/").json()
    assert ([one["body"] for one in news["results"]], news["next_update_due"]) == (
        ["The router is replaced."], "2026-11-23T10:50:00Z",
    )  # fmt: skip
    people = agent.get(f"{here}major/roles/")
    assert people.json()["roles"] == [
        {
            "name": "Technical lead",
            "person": {
                "id": str(owner.pk),
                "name": "owner of acme",
                "reachable": True,
                "unreachable_because": None,
            },
        }
    ]
    assert people.json()["allowed_verbs"] == ["update", "roles", "stand_down"]
    change = {"commander": str(owner.pk), "roles": [{"name": "technical lead", "person": None}]}
    changed = agent.post(f"{here}major/roles/", change, If_Match=people["ETag"])
    assert (changed.json()["commander"]["name"], changed.json()["roles"]) == ("owner of acme", [])
    assert [one["name"] for one in changed.json()["stakeholders"]] == ["owner of acme"]
    resolve_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="known_error", close_notes="x")
    due = agent.get(f"{here}major/review/")
    assert (due.json()["state"], due.json()["causes"]) == ("review_due", None)
    review: dict[str, Any] = {"went_well": "Quick", "went_badly": "No spare", "causes": "Old switch"}
    review |= {"actions": [{"text": "Buy one", "owner": str(owner.pk), "due_on": "2100-01-31"}]}
    problem(agent.post(f"{here}major/review/", review, If_Match=due["ETag"]), 403, "forbidden")
    done = Caller(acme, "owner").post(f"{here}major/review/", review, If_Match=due["ETag"])
    assert (done.status_code, done.json()["state"], done.json()["went_badly"]) == (200, "reviewed", "No spare")
    assert [(a["text"], a["due_on"]) for a in done.json()["actions"]] == [("Buy one", "2100-01-31")]


def test_what_cannot_be_used_is_named_and_nothing_happens(acme: Desk) -> None:
    agent, ticket = Caller(acme), acme.incident()
    here, tag = f"incidents/{ticket.pk}/", agent.get(f"incidents/{ticket.pk}/")["ETag"]
    for body, code in (
        ({}, "required"),
        ({"reason": ""}, "blank"),
        ({"reason": "x", "roles": [{"name": "A", "person": "nobody"}]}, "invalid"),
        ({"reason": "x", "roles": "A"}, "not_a_list"),
        ({"reason": "x", "more": 1}, "unknown_field"),
    ):
        answer = agent.post(f"{here}declare-major/", body, If_Match=tag)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code), answer.content
    assert agent.post(f"{here}declare-major/", {"reason": "x"}).status_code == 428
    for path, body in (
        ("stand-down/", {"reason": "x"}),
        ("major/roles/", {"roles": []}),
        ("major/review/", {"went_well": "x", "went_badly": "x", "causes": "x"}),
    ):
        who = Caller(acme, "manager")
        answer = problem(who.post(here + path, body, If_Match=tag), 409, "illegal_transition")
        assert "is no major incident" in answer["detail"]
    problem(agent.post(f"{here}major/updates/", {"body": "x"}), 409, "illegal_transition")
    problem(agent.get("incidents/?major=perhaps"), 400, "invalid")
    with acme.inside():
        assert not Event.objects.filter(kind__startswith="incident.major").exists()
        assert not Ticket.objects.get(pk=ticket.pk).is_major


def test_children_are_attached_all_or_none(acme: Desk) -> None:
    agent, ticket, child, done = Caller(acme), acme.incident(), acme.incident(), acme.incident()
    resolve_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="known_error", close_notes="x")
    here, tag = f"incidents/{done.number}/children/", agent.get(f"incidents/{done.pk}/")["ETag"]
    for children in ([child.number, done.number], [child.number, "INC0009999"]):
        answer = problem(agent.post(here, {"children": children}, If_Match=tag), 400, "invalid")
        assert answer["errors"][0]["pointer"] == "/children"
    with acme.inside():
        assert not Ticket.objects.filter(parent_id=done.pk).exists()
    assert agent.post(here, {"children": [child.number, str(ticket.pk)]}, If_Match=tag).status_code == 200
    with acme.inside():
        assert Ticket.objects.filter(parent_id=done.pk).count() == 2


def test_a_requester_reads_the_news_and_not_who_leads(acme: Desk) -> None:
    agent, requester = Caller(acme), Caller(acme, "requester")
    ticket = acme.incident()
    here = f"incidents/{ticket.number}/"
    agent.post(f"{here}declare-major/", {"reason": "secret"}, If_Match=agent.get(here)["ETag"])
    agent.post(f"{here}major/updates/", {"body": "We look at it."})
    seen = requester.get(here).json()
    assert set(seen["major"]) == {"state", "declared_at", "next_update_due"}
    assert requester.get(f"{here}major/updates/").json()["results"][0]["body"] == "We look at it."
    problem(requester.get(f"{here}major/roles/"), 403, "forbidden")
    problem(requester.get(f"{here}major/review/"), 403, "forbidden")
    problem(requester.post(f"{here}major/updates/", {"body": "x"}), 403, "forbidden")
    story = requester.get(f"{here}timeline/").content.decode()
    assert "We look at it." in story
    assert "secret" not in story
    problem(Caller(acme, "colleague").get(f"{here}major/updates/"), 404, "not_found")


def test_whom_updates_do_not_reach_is_said_when_they_are_named(acme: Desk) -> None:
    agent, ticket = Caller(acme), acme.incident()
    here = f"incidents/{ticket.number}/"
    led = agent.post(f"{here}declare-major/", {"reason": "x"}, If_Match=agent.get(here)["ETag"])
    someone = create_person(actor=acme.actor("admin"), name="Somebody outside", email="out@acme.example")
    named = [acme.people[one].pk for one in ("auditor", "admin", "requester", "other_manager")]
    body = {
        "roles": [{"name": "Herald", "person": str(acme.people["colleague"].pk)}],
        "add_stakeholders": [str(one) for one in (*named, someone.pk)],
    }
    people = agent.post(f"{here}major/roles/", body, If_Match=led["ETag"])
    assert (people.json()["roles"][0]["person"]["reachable"], people.status_code) == (False, 200)

    def why() -> dict[str, tuple[bool, str | None]]:
        found = agent.get(f"{here}major/roles/").json()["stakeholders"]
        return {one["name"]: (one["reachable"], one["unreachable_because"]) for one in found}

    assert why() == {
        "admin of acme": (True, None),
        "auditor of acme": (True, None),
        "other_manager of acme": (False, "no_right"),
        "requester of acme": (True, None),
        "Somebody outside": (False, "no_right"),
    }
    watch_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, person_id=someone.pk)
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["auditor"].pk, active=False)
    assert {name: said for name, said in why().items() if said != (True, None)} == {
        "auditor of acme": (False, "inactive"),
        "other_manager of acme": (False, "no_right"),
    }, "watching opens it; leaving closes it"
    # What is said is what happens: the ledger drops exactly those.
    agent.post(f"{here}major/updates/", {"body": "We look at it."})
    relay(acme.tenant.pk)
    with acme.inside():
        dropped = Dispatch.objects.filter(status="dropped", notification__topic="major_update")
        assert set(dropped.values_list("person__name", "reason")) == {("other_manager of acme", "no_right")}
    for stranger in ("requester", "colleague"):
        assert Caller(acme, stranger).get(f"{here}major/roles/").status_code in (403, 404)


def test_the_other_tenant_knows_nothing(acme: Desk, globex: Desk) -> None:
    ticket, stranger = acme.incident(), Caller(globex)
    for path in ("major/updates/", "major/roles/", "major/review/"):
        problem(stranger.get(f"incidents/{ticket.pk}/{path}"), 404, "not_found")
        problem(stranger.get(f"incidents/{ticket.number}/{path}"), 404, "not_found")


def test_standing_down(acme: Desk) -> None:
    agent, ticket = Caller(acme), acme.incident()
    here = f"incidents/{ticket.number}/"
    led = agent.post(f"{here}declare-major/", {"reason": "x"}, If_Match=agent.get(here)["ETag"])
    assert "declare_major" not in led.json()["allowed_verbs"]
    down = agent.post(f"{here}stand-down/", {"reason": "One shop only."}, If_Match=led["ETag"])
    assert (down.status_code, down.json()["major"]) == (200, None)
    assert "declare_major" in down.json()["allowed_verbs"]
