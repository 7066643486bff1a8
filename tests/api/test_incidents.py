"""Incidents over REST: what each verb does, what it answers, and that a refusal changes nothing."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from itsm.events.models import Event, Outbox
from itsm.tickets.models import Ticket
from tests.api.caller import Caller, problem
from tests.factories import Desk


def footprint(desk: Desk) -> tuple[Any, ...]:
    """What a refusal must leave as it was: tickets, events but for the refusals themselves, and what waits to go out."""
    beside = ["access.refused", "token.created"]
    with desk.inside():
        return (
            list(Ticket.objects.order_by("pk").values_list("pk", "state", "version", "assignee_id", "team_id")),
            Event.objects.exclude(kind__in=beside).count(),
            Outbox.objects.exclude(event__kind__in=beside).count(),
        )


def test_create_read_work_resolve_close(acme: Desk, agent: Caller) -> None:
    made = agent.post("incidents/", {"title": "No mail", "description": "Since 9", "impact": 1, "urgency": 2})
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["number"], body["priority"], body["version"], body["channel"]) == ("INC0001001", 2, 1, "api")
    assert (body["state"], body["state_label"], body["state_category"]) == (1, "New", "new")
    assert body["requester"]["name"] == "agent of acme"
    assert (made["ETag"], made["Location"]) == ('"1"', f"/t/acme/api/v1/incidents/{body['id']}/")
    read = agent.get("incidents/inc0001001/")
    assert (read.json(), read["ETag"]) == (body, '"1"')
    taken = agent.post(f"incidents/{body['id']}/take/", If_Match=read["ETag"])
    assert taken.json()["state_label"] == "In Progress"
    assert taken.json()["team"]["name"] == "network"
    resolved = agent.post(
        f"incidents/{body['id']}/resolve",
        {"close_code": "solution_provided", "close_notes": "Restarted"},
        If_Match=taken["ETag"],
    )
    assert (resolved.json()["close_code"], resolved.json()["close_notes"]) == ("solution_provided", "Restarted")
    closed = agent.post(f"incidents/{body['number']}/close/", If_Match=resolved["ETag"])
    assert closed.json()["state"] == 7
    assert closed.json()["allowed_verbs"] == ["follow_up"]
    assert closed.json()["closed_at"].endswith("Z")


def test_the_token_alone_tells_the_tenant(acme: Desk, globex: Desk) -> None:
    mine = Caller(acme, "agent", prefix=False)
    number = mine.post("incidents", {"title": "x"}).json()["number"]
    assert mine.get("incidents/").json()["results"][0]["number"] == number
    theirs = Caller(globex, "agent", prefix=False)
    assert theirs.get("incidents/").json() == {"results": [], "next": None, "previous": None}
    problem(theirs.get(f"incidents/{number}/"), 404, "not_found")
    problem(mine.client.get("/t/globex/api/v1/incidents/", headers=mine.headers), 401, "not_authenticated")


VERBS: list[tuple[str, dict[str, Any], list[str], str]] = [
    ("start", {}, [], "in_progress"),
    ("take", {}, [], "in_progress"),
    ("assign", {"team": "apps"}, [], "new"),
    ("hold", {"hold_reason": "awaiting_vendor"}, [], "on_hold"),
    ("hold", {"hold_reason": "awaiting_caller", "comment": "Which one?"}, [], "on_hold"),
    ("resume", {}, ["hold"], "in_progress"),
    ("resolve", {"close_code": "known_error", "close_notes": "It is"}, [], "resolved"),
    ("reopen", {"reason": "Still broken"}, ["resolve"], "in_progress"),
    ("close", {}, ["resolve"], "closed"),
    ("cancel", {"reason": "My mistake"}, [], "canceled"),
    ("parent", {"parent": "INC0001002"}, [], "new"),
    ("merge", {"into": "INC0001002"}, [], "closed"),
]
BEFORE = {
    "hold": {"hold_reason": "awaiting_change"},
    "resolve": {"close_code": "known_error", "close_notes": "It is"},
}


def prepared(desk: Desk, agent: Caller, before: list[str]) -> tuple[str, str]:
    """The address of INC0001001 (INC0001002 is there too) and its ETag after the verbs ``before``."""
    first = desk.incident("colleague")
    desk.incident("colleague")
    tag = '"1"'
    for verb in before:
        tag = agent.post(f"incidents/{first.pk}/{verb}/", BEFORE[verb], If_Match=tag)["ETag"]
    return f"incidents/{first.pk}/", tag


@pytest.mark.parametrize(("verb", "body", "before", "state"), VERBS)
def test_verb(acme: Desk, agent: Caller, verb: str, body: dict[str, Any], before: list[str], state: str) -> None:
    address, tag = prepared(acme, agent, before)
    if verb == "assign":
        body = {"team": str(acme.teams["apps"].pk), "assignee": str(acme.people["agent"].pk)}
    done = agent.post(f"{address}{verb}/", body, If_Match=tag)
    assert done.status_code == 200, done.content
    assert done.json()["state_label"].lower().replace(" ", "_") == state
    assert done["ETag"] == f'"{done.json()["version"]}"' > tag
    assert agent.get(address).json() == done.json()


@pytest.mark.parametrize(("verb", "body", "before", "_state"), VERBS)
def test_verb_refused(
    acme: Desk, agent: Caller, verb: str, body: dict[str, Any], before: list[str], _state: str
) -> None:
    """Without the right 403, for a stranger 404, without If-Match 428, stale 412, unknown field 400; and nothing happens."""
    address, tag = prepared(acme, agent, before)
    body = {"team": str(acme.teams["apps"].pk)} if verb == "assign" else body
    stranger, auditor = Caller(acme, "requester"), Caller(acme, "auditor")
    reader = Caller(acme, "agent", "incidents:read")
    then = footprint(acme)
    problem(stranger.post(f"{address}{verb}/", body, If_Match=tag), 404, "not_found")
    refused = problem(auditor.post(f"{address}{verb}/", body, If_Match=tag), 403, "forbidden")
    assert refused["permission"].partition(".")[0] in {"incident", "ticket"}
    problem(reader.post(f"{address}{verb}/", body, If_Match=tag), 403, "forbidden")
    problem(agent.post(f"{address}{verb}/", body), 428, "precondition_required")
    stale = problem(agent.post(f"{address}{verb}/", body, If_Match='"99"'), 412, "stale_version")
    assert (stale["current"], stale["expected"]) == (int(tag.strip('"')), 99)
    unknown = problem(agent.post(f"{address}{verb}/", {**body, "nonsense": 1}, If_Match=tag), 400, "invalid")
    assert unknown["errors"][0]["pointer"] == "/nonsense"
    for bad in ('W/"1"', "1", '"x"', '"1", "2"', ""):
        answer = problem(agent.post(f"{address}{verb}/", body, If_Match=bad), 400, "invalid")
        assert answer["errors"][0]["header"] == "If-Match"
    assert footprint(acme) == then
    with acme.inside():
        assert Event.objects.filter(kind="access.refused").count() == 2


def test_a_refusal_of_the_flow_names_what_is_possible(acme: Desk, agent: Caller) -> None:
    ticket = acme.incident()
    then = footprint(acme)
    refused = problem(agent.post(f"incidents/{ticket.pk}/resume/", If_Match='"1"'), 409, "illegal_transition")
    assert refused["allowed"] == ["take", "start", "hold", "resolve", "cancel", "merge"]
    assert footprint(acme) == then


def test_patch_changes_fields_and_never_a_state(acme: Desk, agent: Caller) -> None:
    ticket = acme.incident()
    changed = agent.patch(f"incidents/{ticket.pk}/", {"title": "Smoke", "impact": 1, "urgency": 1}, If_Match='"1"')
    assert (changed.json()["title"], changed.json()["priority"], changed["ETag"]) == ("Smoke", 1, '"2"')
    then = footprint(acme)
    refused = problem(agent.patch(f"incidents/{ticket.pk}/", {"state": 6}, If_Match='"2"'), 400, "invalid")
    assert refused["errors"] == [
        {
            "pointer": "/state",
            "code": "unknown_field",
            "detail": "A state is changed by its verb, such as POST …/resolve/, never by PATCH.",
        }
    ]
    problem(agent.patch(f"incidents/{ticket.pk}/", {"title": "x"}), 428, "precondition_required")
    problem(agent.patch(f"incidents/{ticket.pk}/", {"title": "x"}, If_Match='"1"'), 412, "stale_version")
    problem(
        Caller(acme, "requester").patch(f"incidents/{ticket.pk}/", {"title": "x"}, If_Match='"2"'), 403, "forbidden"
    )
    assert footprint(acme) == then


def test_requesters_log_for_themselves_and_read_no_internals(acme: Desk, agent: Caller, requester: Caller) -> None:
    made = requester.post("incidents/", {"title": "Help"}).json()
    assert not {"opened_by", "parent", "duplicate_of", "reassignment_count"} & set(made)
    assert made["allowed_verbs"] == ["cancel", "comment", "attach", "watch"]
    assert {"opened_by", "parent", "duplicate_of", "reassignment_count"} <= set(
        agent.get(f"incidents/{made['id']}/").json()
    )
    then = footprint(acme)
    other = {"title": "x", "requester": str(acme.people["colleague"].pk)}
    assert problem(requester.post("incidents/", other), 403, "forbidden")["permission"] == "incident.create_for_others"
    assert footprint(acme) == then


def test_a_token_that_may_only_write_learns_the_number(acme: Desk) -> None:
    writer = Caller(acme, "agent", "incidents:write")
    made = writer.post("incidents/", {"title": "Alert"})
    assert (made.status_code, set(made.json())) == (201, {"id", "number", "version"})
    assert problem(writer.get("incidents/"), 403, "forbidden")["permission"] == "ticket.read"


def test_follow_up(acme: Desk, agent: Caller) -> None:
    ticket = acme.incident()
    problem(agent.post(f"incidents/{ticket.pk}/follow-up/"), 409, "illegal_transition")
    agent.post(f"incidents/{ticket.pk}/cancel/", {"reason": "x"}, If_Match='"1"')
    made = agent.post(f"incidents/{ticket.pk}/follow-up/", {"description": "Again"})
    assert made.status_code == 201
    assert made.json()["description"] == "Again"
    link = made.json()["links"][0]
    assert (link["kind"], link["direction"], link["ticket"]["number"]) == ("follow_up_of", "outward", "INC0001001")


def test_a_comment_takes_the_files_that_its_author_has_sent(acme: Desk, agent: Caller, requester: Caller) -> None:
    ticket = acme.incident()
    sent = agent.upload(f"incidents/{ticket.pk}/attachments/", {"file": BytesIO(b"LOG")}).json()
    address = f"incidents/{ticket.pk}/comments/"
    other = requester.post(address, {"body": "Mine", "attachments": [sent["id"]]})
    assert problem(other, 400, "invalid")["errors"][0]["pointer"] == "/attachments"
    for bad in ("x", [7], [sent["id"]] * 101):
        problem(agent.post(address, {"body": "See", "attachments": bad}), 400, "invalid")
    assert agent.post(address, {"body": "See", "attachments": [sent["id"]]}).status_code == 201
    entries = agent.get(f"incidents/{ticket.pk}/timeline/").json()["results"]
    told = [(entry["kind"], [file["id"] for file in entry["files"]]) for entry in entries]
    assert told == [("incident.opened", []), ("ticket.commented", [sent["id"]])]


def test_comments(acme: Desk, agent: Caller, requester: Caller) -> None:
    ticket = acme.incident()
    address = f"incidents/{ticket.number}/comments/"
    note = agent.post(address, {"body": "He always says that", "audience": "internal"})
    assert (note.status_code, note.json()["audience"]) == (201, "internal")
    reply = requester.post(address, {"body": "Still on fire"}).json()
    assert reply["author"] == {"id": str(acme.people["requester"].pk), "name": "requester of acme"}
    assert [c["body"] for c in agent.get(address).json()["results"]] == ["He always says that", "Still on fire"]
    assert [c["body"] for c in requester.get(address).json()["results"]] == ["Still on fire"]
    then = footprint(acme)
    problem(requester.post(address, {"body": "x", "audience": "internal"}), 403, "forbidden")
    problem(Caller(acme, "colleague").post(address, {"body": "x"}), 404, "not_found")
    assert problem(agent.post(address, {"body": "  "}), 400, "invalid")["errors"][0]["pointer"] == "/body"
    assert footprint(acme) == then


def test_links_watchers_timeline(acme: Desk, agent: Caller, requester: Caller) -> None:
    first, second = acme.incident(), acme.incident("colleague")
    linked = agent.post(f"incidents/{first.pk}/links/", {"target": second.number})
    assert (linked.status_code, linked.json()["ticket"]["number"]) == (201, second.number)
    assert agent.get(f"incidents/{second.pk}/links/").json()["results"][0]["direction"] == "inward"
    assert requester.get(f"incidents/{first.pk}/links/").json()["results"] == []
    colleague = {"person": str(acme.people["colleague"].pk)}
    assert agent.post(f"incidents/{first.pk}/watch/", colleague).status_code == 204
    assert [w["person"]["name"] for w in agent.get(f"incidents/{first.pk}/watchers/").json()["results"]] == [
        "colleague of acme"
    ]
    assert Caller(acme, "colleague").get(f"incidents/{first.pk}/").status_code == 200
    assert agent.post(f"incidents/{first.pk}/unwatch/", colleague).status_code == 204
    assert agent.delete(f"incidents/{first.pk}/links/{linked.json()['id']}/").status_code == 204
    problem(agent.delete(f"incidents/{first.pk}/links/{linked.json()['id']}/"), 404, "not_found")
    agent.post(f"incidents/{first.pk}/comments/", {"body": "secret", "audience": "internal"})
    entries = agent.get(f"incidents/{first.pk}/timeline/").json()["results"]
    assert [entry["sequence"] for entry in entries] == list(range(1, 7))
    assert entries[0]["actor"] == {
        "kind": "person",
        "id": str(acme.people["requester"].pk),
        "name": "requester of acme",
    }
    page = agent.get(f"incidents/{first.pk}/timeline/?limit=2").json()
    assert agent.get(page["next"]).json()["results"][0]["sequence"] == 3
    assert "secret" not in requester.get(f"incidents/{first.pk}/timeline/").content.decode()
