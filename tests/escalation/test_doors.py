"""Escalation through its doors: API, the ticket's page, the admin."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from itsm.escalation.models import EscalationPolicy, EscalationPolicyVersion, EscalationRun
from itsm.events.models import Event
from tests.escalation.chains import MANAGERS, TEAM, policy, run_of, start, tick
from tests.factories import Desk
from tests.sla.desk import at, on

pytestmark = pytest.mark.django_db
TERMS: dict[str, Any] = {"steps": [{"do": [TEAM]}, {"after": "15m", "do": [MANAGERS]}], "start_delay": "0s"}


class Caller:
    def __init__(self, desk: Desk, name: str) -> None:
        self.base = f"{desk.prefix}/api/v1"
        self.client = Client()
        self.client.force_login(desk.users[name])

    def __call__(self, method: str, path: str, body: Any = None, match: str = "*") -> tuple[int, Any]:
        send = getattr(self.client, method)
        given = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        answer = send(f"{self.base}/{path}", headers={"If-Match": match} if match else {}, **given)
        self.etag = answer.get("ETag")
        return answer.status_code, answer.json() if answer.content else None


def browser(desk: Desk, name: str) -> Client:
    client = Client()
    client.force_login(desk.users[name])
    return client


def asked_for(desk: Desk) -> Any:
    """The requester's ticket, with the team of the agent."""
    return desk.incident(by="manager", requester_id=desk.people["requester"].pk, team_id=desk.teams["network"].pk)


def test_policies_over_the_api(acme: Desk) -> None:
    manager, agent = Caller(acme, "manager"), Caller(acme, "agent")
    status, made = manager("post", "escalation-policies/", {"name": "Mail", "terms": TERMS})
    assert (status, made["version"], made["terms"], made["is_active"]) == (201, 1, TERMS, True)
    address = f"escalation-policies/{made['id']}/"
    other = {**TERMS, "loops": 2}
    status, changed = manager("patch", address, {"terms": other, "is_active": False})
    assert (status, changed["version"], changed["terms"]["loops"], changed["is_active"]) == (200, 2, 2, False)
    assert manager("patch", address, {"terms": other})[1]["version"] == 2, "nothing changed, no version"
    status, page = agent("get", "escalation-policies/?is_active=true")
    assert (status, [one["name"] for one in page["results"]]) == (200, ["Critical incidents"])
    assert agent("get", address)[0] == 200
    assert agent("patch", address, {"name": "Mine"})[0] == 403
    assert agent("post", "escalation-policies/", {"name": "Mine", "terms": TERMS})[0] == 403
    assert Caller(acme, "requester")("get", "escalation-policies/")[0] == 403
    with acme.inside():
        assert EscalationPolicyVersion.objects.filter(policy_id=made["id"]).count() == 2
        assert EscalationPolicy.objects.get(pk=made["id"]).name == "Mail"


def test_nobody_overwrites_a_policy_that_he_has_not_seen(acme: Desk) -> None:
    manager = Caller(acme, "manager")
    made = manager("post", "escalation-policies/", {"name": "Mail", "terms": TERMS})[1]
    assert (manager.etag, made["revision"]) == ('"1"', 1)
    address = f"escalation-policies/{made['id']}/"
    assert manager("patch", address, {"name": "Other"}, match="")[1]["code"] == "precondition_required"
    status, refused = manager("patch", address, {"terms": {**TERMS, "loops": 2}}, match='"2"')
    assert (status, refused["code"], refused["current"], refused["expected"]) == (412, "stale_version", 1, 2)
    assert manager("patch", address, {"name": "Mail"}, match='"1"')[1]["revision"] == 1, "nothing changed"
    changed = manager("patch", address, {"terms": {**TERMS, "loops": 2}}, match='"1"')[1]
    assert (changed["revision"], changed["version"], manager.etag) == (2, 2, '"2"')
    changed = manager("patch", address, {"is_active": False}, match='"2"')[1]
    assert (changed["revision"], changed["version"]) == (3, 2), "terms have a version of their own"
    assert manager("patch", address, {"name": "Other"}, match='"2"')[0] == 412
    assert (manager("get", address)[1]["name"], manager.etag) == ("Mail", '"3"')


def test_what_cannot_be_used_is_a_400_that_names_the_place(acme: Desk) -> None:
    manager = Caller(acme, "manager")
    wrong = {"steps": [{"do": [{"action": "notify_person", "person": str(acme.tenant.pk)}]}], "loops": 10}
    status, problem = manager("post", "escalation-policies/", {"name": "Bad", "terms": wrong})
    assert (status, [(e["pointer"], e["code"]) for e in problem["errors"]]) == (400, [("/terms/loops", "out_of_range")])
    status, problem = manager("post", "escalation-policies/", {"name": "Bad", "terms": {**wrong, "loops": 1}})
    assert (status, [(e["pointer"], e["code"]) for e in problem["errors"]]) == (
        400, [("/terms/steps/0/do/0/person", "unknown_reference")],
    )  # fmt: skip
    taken = manager("post", "escalation-policies/", {"name": "Critical incidents", "terms": TERMS})
    assert (taken[0], taken[1]["errors"][0]["code"]) == (400, "taken")
    with acme.inside():
        assert not EscalationPolicy.objects.filter(name="Bad").exists()


def test_escalations_of_a_ticket_over_the_api(acme: Desk) -> None:
    chain = policy(acme, ("0s", TEAM), ("15m", MANAGERS))
    with at(1, 10):
        ticket = asked_for(acme)
        agent = Caller(acme, "agent")
        address = f"incidents/{ticket.number}/escalations/"
        status, made = agent("post", address, {"policy": str(chain.pk)})
    assert (status, made["state"], made["started_by"]["name"], made["steps"]) == (201, "running", "agent of acme", [])
    assert agent("post", address, {"policy": str(chain.pk)})[1]["errors"][0]["code"] == "already_running"
    tick(on(1, 10))
    (run,) = agent("get", address)[1]["results"]
    assert [(one["step"], [p["name"] for p in one["recipients"]]) for one in run["steps"]] == [(0, ["agent of acme"])]
    assert run["policy"] == {"id": str(chain.pk), "name": "Chain", "version": 1}
    assert Caller(acme, "requester")("get", address)[0] == 403
    assert Caller(acme, "requester")("post", f"{address}acknowledge/", {})[0] == 403
    assert Caller(acme, "colleague")("post", f"{address}acknowledge/", {})[0] == 404
    assert agent("post", f"{address}acknowledge/", {"run": str(ticket.pk)})[0] == 404
    assert run_of(acme, ticket).state == "running"
    with at(1, 10, 1):
        status, shown = agent("post", f"{address}acknowledge/", {})
    assert (status, [one["state"] for one in shown["results"]]) == (200, ["acknowledged"])
    assert shown["results"][0]["acknowledged_by"]["name"] == "agent of acme"


def test_the_ticket_page_shows_and_stops_what_runs(acme: Desk) -> None:
    chain = policy(acme, ("0s", TEAM), ("15m", MANAGERS))
    with at(1, 10):
        ticket = asked_for(acme)
        start(acme, ticket, chain)
    tick(on(1, 10))
    agent = browser(acme, "agent")
    address = f"{acme.prefix}/incidents/{ticket.number}/"
    shown = agent.get(address).content.decode()
    button = f"{acme.prefix}/escalation/{ticket.number}/acknowledge/"
    for text in ("Escalation", "Running", "Step 2 comes", "agent of acme", button):
        assert text in shown, text
    assert button not in browser(acme, "auditor").get(address).content.decode()
    assert "Step 2 comes" not in browser(acme, "requester").get(address).content.decode()
    with at(1, 10, 1):
        answer = agent.post(button, follow=True)
    assert (answer.redirect_chain[-1][0], run_of(acme, ticket).state) == (address, "acknowledged")
    assert "Nobody is called any more" in answer.content.decode()
    assert button not in agent.get(address).content.decode()
    assert "No escalation runs" in agent.post(button, follow=True).content.decode()
    assert browser(acme, "requester").post(button).status_code == 403


def test_after_the_last_step_no_step_comes_but_the_end(acme: Desk) -> None:
    made = policy(acme, ("0s", TEAM), ("15m", MANAGERS), loop_gap="15m")
    ticket = asked_for(acme)
    address = f"{acme.prefix}/incidents/{ticket.number}/"
    with at(1, 10):
        start(acme, ticket, made)
    tick(on(1, 10))
    assert "Step 2 comes" in browser(acme, "agent").get(address).content.decode()
    tick(on(1, 10, 15))
    page = browser(acme, "agent").get(address).content.decode()
    assert ("Ends unanswered" in page, "Step 3 comes" in page) == (True, False)
    tick(on(1, 10, 30))
    page = browser(acme, "agent").get(address).content.decode()
    assert ("Ends unanswered" in page, "Nobody answered" in page) == (False, True)


def test_a_policy_is_started_on_the_page(acme: Desk) -> None:
    chain = policy(acme, ("0s", TEAM))
    ticket = acme.incident()
    agent, start_at = browser(acme, "agent"), f"{acme.prefix}/escalation/{ticket.number}/start/"
    assert agent.get(start_at).status_code == 405
    for wrong in ("", "x", str(ticket.pk)):
        assert agent.post(start_at, {"policy": wrong}, follow=True).status_code == 200
    with acme.inside():
        assert EscalationRun.objects.count() == 0
    answer = agent.post(start_at, {"policy": str(chain.pk), "queue": "view=all"})
    assert (answer.status_code, answer["Location"]) == (302, f"{acme.prefix}/queue/?view=all&open={ticket.number}")
    assert run_of(acme, ticket).state == "running"
    assert browser(acme, "requester").post(start_at, {"policy": str(chain.pk)}).status_code == 403
    unknown = f"{acme.prefix}/escalation/INC0999999/start/"
    assert agent.post(unknown, {"policy": str(chain.pk)}).status_code == 404


def test_policies_in_the_admin(acme: Desk) -> None:
    manager = browser(acme, "manager")
    folder = f"{acme.prefix}/admin/escalation/escalationpolicy"
    given = {"name": "By hand", "is_active": "on", "terms": json.dumps(TERMS)}
    assert manager.post(f"{folder}/add/", given).status_code == 302
    with acme.inside():
        made = EscalationPolicy.objects.get(name="By hand")
    address = f"{folder}/{made.pk}/change/"
    assert "notify_managers" in manager.get(address).content.decode()
    for terms, text in (("{", "This is no JSON"), ('{"steps": []}', "steps: Please fill this in.")):
        answer = manager.post(address, {**given, "terms": terms})
        assert (answer.status_code in (200, 400), text in answer.content.decode()) == (True, True)
    assert manager.post(address, {**given, "terms": json.dumps({**TERMS, "loops": 3})}).status_code == 302
    assert browser(acme, "agent").post(address, given).status_code == 403
    with acme.inside():
        versions = EscalationPolicyVersion.objects.filter(policy_id=made.pk).order_by("version")
        assert [row.terms.get("loops") for row in versions] == [None, 3]
        assert Event.objects.filter(kind="escalation.policy_changed").count() == 1
