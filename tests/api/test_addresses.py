"""Every address of the API answers without its last slash too, and every single thing can be read at its own address."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from django.test import Client

from itsm.tenancy.models import Organisation
from itsm.tickets.commands.configuration import create_category, create_service
from itsm.tickets.models import Ticket
from tests.api.caller import Caller
from tests.factories import Desk

LISTS = ("teams", "users", "organisations", "services", "categories", "tokens", "incidents")


@pytest.fixture
def full(acme: Desk) -> Desk:
    """acme with one of everything that has an address."""
    create_service(actor=acme.actor("admin"), name="Mail")
    create_category(actor=acme.actor("admin"), name="Hardware")
    with acme.inside():
        Organisation(tenant_id=acme.tenant.pk, name="Branch").save(force_insert=True)
    acme.incident()
    return acme


@pytest.mark.parametrize("slash", ["/", ""])
def test_what_a_list_names_can_be_read_at_its_own_address(full: Desk, slash: str) -> None:
    api = Caller(full, "admin")
    for name in LISTS:
        listed = api.get(f"{name}{slash}")
        assert listed.status_code == 200, listed.content
        (first, *_) = listed.json()["results"]
        one = api.get(f"{name}/{first['id']}{slash}")
        assert one.status_code == 200, one.content
        assert one.json()["id"] == first["id"]
        assert {key: one.json()[key] for key in first if key in one.json()} == first
    for name in ("events", "me", "reports/incidents"):
        assert api.get(f"{name}{slash}").status_code == 200
    for name in ("schema", "docs"):
        assert api.get(f"{name}{slash}").status_code == 200


def test_a_whole_day_without_a_slash(full: Desk, agent: Caller) -> None:
    """No redirect on the way: it would lose the body of a POST."""

    def made() -> tuple[str, str]:
        answer = agent.post("incidents", {"title": "No mail"})
        assert answer.status_code == 201
        return f"incidents/{answer.json()['number']}", answer["ETag"]

    def do(address: str, tag: str, verb: str, state: str, **body: Any) -> str:
        answer = agent.post(f"{address}/{verb}", body, If_Match=tag)
        assert (answer.status_code, answer.json()["state_label"]) == (200, state), answer.content
        return str(answer["ETag"])

    address, tag = made()
    tag = agent.patch(address, {"title": "No mail at all"}, If_Match=tag)["ETag"]
    tag = do(address, tag, "assign", "New", team=str(full.teams["network"].pk))
    tag = do(address, tag, "start", "In Progress")
    tag = do(address, tag, "hold", "On Hold", hold_reason="awaiting_vendor")
    tag = do(address, tag, "resume", "In Progress")
    tag = do(address, tag, "resolve", "Resolved", close_code="known_error", close_notes="It is")
    tag = do(address, tag, "reopen", "In Progress", reason="It is not")
    tag = do(address, tag, "resolve", "Resolved", close_code="solution_provided", close_notes="Done")
    do(address, tag, "close", "Closed")
    followed = agent.post(f"{address}/follow-up", {"description": "Again"})
    assert followed.status_code == 201
    other, tag = made()
    tag = do(other, tag, "take", "In Progress")
    tag = do(other, tag, "parent", "In Progress", parent=followed.json()["number"])
    do(other, tag, "merge", "Closed", into=followed.json()["number"])
    third, tag = made()
    do(third, tag, "cancel", "Canceled", reason="My mistake")


def test_what_hangs_on_a_ticket_without_a_slash(full: Desk, agent: Caller) -> None:
    with full.inside():
        address = f"incidents/{Ticket.objects.get().number}"
    other = agent.post("incidents", {"title": "The other"}).json()["number"]
    assert agent.post(f"{address}/comments", {"body": "Hello"}).status_code == 201
    assert [row["body"] for row in agent.get(f"{address}/comments").json()["results"]] == ["Hello"]
    assert agent.post(f"{address}/watch", {}).status_code == 204
    watchers = [row["person"]["name"] for row in agent.get(f"{address}/watchers").json()["results"]]
    assert "agent of acme" in watchers
    assert agent.post(f"{address}/unwatch", {}).status_code == 204
    after = [row["person"]["name"] for row in agent.get(f"{address}/watchers").json()["results"]]
    assert set(watchers) - set(after) == {"agent of acme"}
    link = agent.post(f"{address}/links", {"target": other}).json()["id"]
    assert [row["id"] for row in agent.get(f"{address}/links").json()["results"]] == [link]
    assert agent.delete(f"{address}/links/{link}").status_code == 204
    assert agent.get(f"{address}/links").json()["results"] == []
    file = agent.upload(f"{address}/attachments", {"file": BytesIO(b"log")}).json()
    assert agent.get(f"{address}/attachments").json()["results"] == [file]
    assert agent.get(f"{address}/attachments/{file['id']}").json() == file
    assert agent.get(f"{address}/attachments/{file['id']}/").json() == file
    assert b"".join(agent.get(f"{address}/attachments/{file['id']}/content").streaming_content) == b"log"
    assert agent.delete(f"{address}/attachments/{file['id']}").status_code == 204
    assert agent.get(f"{address}/attachments").json()["results"] == []
    assert len(agent.get(f"{address}/timeline").json()["results"]) >= 4


def test_tokens_without_a_slash(acme: Desk) -> None:
    client = Client()
    client.force_login(acme.users["agent"])
    body = {"name": "Monitoring", "scopes": ["incidents:read"]}
    made = client.post("/t/acme/api/v1/tokens", body, content_type="application/json")
    assert made.status_code == 201
    headers = {"Authorization": f"Bearer {made.json()['secret']}"}
    assert Client().get("/api/v1/me", headers=headers).status_code == 200
    assert client.delete(f"/t/acme/api/v1/tokens/{made.json()['id']}").status_code == 204
    assert Client().get("/api/v1/me", headers=headers).status_code == 401
