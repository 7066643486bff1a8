"""Every address of the product, asked by somebody of tenant B about what belongs to tenant A.

The routes come from the URL configuration, so a new one is tested as soon as it exists; one with a parameter that the
table below cannot fill fails. The rule: what belongs to another tenant answers exactly as what nobody has ever made.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from itsm.access.catalogue import GRANTABLE, PER_PROCESS, SCOPES
from itsm.access.commands import create_token
from itsm.access.models import RoleGrant
from itsm.events.models import Event
from itsm.events.relay import relay
from itsm.notify.commands.endpoints import create_endpoint
from itsm.notify.commands.templates import set_template
from itsm.tenancy.models import Organisation
from itsm.tickets.commands import attach_file, comment_on_ticket, link_tickets
from itsm.tickets.models import Category, Service
from tests.addresses import routes, subject_of
from tests.factories import Desk, make_desk
from tests.oncall.schedules import fill
from tests.snapshot import snapshot

SECRET = "Zugzwang"
METHODS = ("get", "post", "put", "patch", "delete")
#: Outside every tenant on purpose.
GLOBAL = ("healthz/", "accounts/")
#: What a refused or unanswerable request may say. Anything below 400 is one of the redirects that REDIRECTS explains.
REFUSALS = {400, 401, 403, 404, 405, 411, 415, 422, 428}
#: The Django admin answers an unknown object with a redirect to its first page, and old addresses with one to the new.
REDIRECTS = ("admin/",)


def made_up(name: str, real: str) -> str:
    """Something of the same form that nobody has."""
    if name == "number":
        return "INC0999999"
    return str(uuid4()) if re.fullmatch(r"[0-9a-f-]{36}", real) else real


@pytest.fixture
def two(db: None) -> tuple[Desk, Desk, Any]:
    """A filled tenant A with a word that must not show, tenant B with a person who may do everything there, and A's ticket."""
    ours, theirs = make_desk("acme"), make_desk("globex")
    agent = ours.actor("agent")
    for _ in range(5):
        ticket = ours.incident(title=SECRET, description=SECRET)  # A number that B has not reached.
    comment_on_ticket(actor=agent, ticket_id=ticket.pk, body=SECRET)
    attach_file(actor=agent, ticket_id=ticket.pk, name=f"{SECRET}.txt", content=BytesIO(SECRET.encode()), size=8)
    link_tickets(actor=agent, ticket_id=ticket.pk, target_id=ours.incident(title=SECRET).pk)
    ours.token("agent", "incidents:read")
    relay(ours.tenant.pk)  # tells the requester of the reply
    create_endpoint(actor=ours.actor("admin"), name=SECRET, url="https://hooks.example.org/")
    set_template(actor=ours.actor("admin"), key="reply", language="en", subject=SECRET, text=SECRET)
    fill(ours, SECRET)
    with ours.inside():
        for model in (Service, Category, Organisation):
            model(tenant_id=ours.tenant.pk, name=SECRET).save(force_insert=True)
    theirs.person("everything", *((role, "incident" if role in PER_PROCESS else None, None) for role in GRANTABLE))
    theirs.incident(by="everything", title="Theirs")
    return ours, theirs, ticket


def normal(response: Any, *ids: str) -> tuple[int, str]:
    """Status and body without what differs between any two answers."""
    body = b"".join(response.streaming_content) if response.streaming else response.content
    text = body.decode("utf-8", "replace")
    for one in ids:
        text = text.replace(one, "ID")
    # What the last page had to say shows on the next one, whichever that is.
    text = re.sub(r'<p class="note.*?</p>', "", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?:nonce|csrfmiddlewaretoken|value)=\"[^\"]*\"", "ID", text)
    return response.status_code, re.sub(r'"request_id": ?"[^"]*"', "ID", text)


def clients(theirs: Desk) -> dict[str, tuple[Client, str, dict[str, str]]]:
    """B's ways in: signed in at B's address, a token at B's address, a token that names its tenant itself."""
    browser = Client(raise_request_exception=False)
    browser.force_login(theirs.users["everything"])
    secret = create_token(actor=theirs.actor("everything"), name="all", scopes=list(SCOPES))[1]
    token = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
    return {
        "session": (browser, theirs.prefix, {}),
        "token": (Client(raise_request_exception=False), theirs.prefix, token),
        "bare token": (Client(raise_request_exception=False), "", token),
    }


def ask(client: Client, method: str, path: str, headers: dict[str, str]) -> Any:
    sent: dict[str, Any] = {**headers, "HTTP_IF_MATCH": "*"}
    if path.startswith("/api/") or "/api/" in path:
        sent["HTTP_IDEMPOTENCY_KEY"] = str(uuid4())
        return getattr(client, method)(
            path, **({} if method == "get" else {"data": b"{}", "content_type": "application/json"}), **sent
        )
    return getattr(client, method)(path, **sent)


def test_there_are_routes_and_each_can_be_filled(two: tuple[Desk, Desk, Any]) -> None:
    ours, _, ticket = two
    found = [route for route in routes() if not route.pattern.startswith(GLOBAL)]
    assert len(found) >= 60
    with ours.inside():
        for route in found:
            for name in route.parameters:
                try:
                    subject_of(route, ticket)(name)
                except (KeyError, StopIteration):
                    pytest.fail(
                        f"say in subject_of() what <{name}> of {route.pattern} is, so that it is tested for leaks"
                    )


def test_what_belongs_to_another_tenant_answers_as_what_never_was(two: tuple[Desk, Desk, Any]) -> None:
    ours, theirs, ticket = two
    with ours.inside():
        filled = [
            (route, {name: subject_of(route, ticket)(name) for name in route.parameters})
            for route in routes()
            if route.parameters and not route.pattern.startswith(GLOBAL)
        ]
    doors = clients(theirs)
    before, mine = snapshot(ours), snapshot(theirs, but=_MAY_CHANGE)
    asked, wrong = 0, []
    for route, real in filled:
        never = {name: made_up(name, value) for name, value in real.items()}
        if never == real:
            continue  # Nothing in it belongs to a tenant.
        for door, (client, prefix, headers) in doors.items():
            if (door != "session") != route.pattern.startswith("api/") and door != "session":
                continue
            for method in METHODS if route.pattern.startswith("api/") else METHODS[:2]:
                there = normal(ask(client, method, prefix + route.fill(real), headers), *real.values())
                nowhere = normal(ask(client, method, prefix + route.fill(never), headers), *never.values())
                asked += 1
                refused = there[0] in REFUSALS or (there[0] in {301, 302} and route.pattern.startswith(REDIRECTS))
                if there != nowhere or not refused or SECRET in there[1]:
                    wrong.append(f"{door} {method} {route.pattern}: {there[0]}, never made {nowhere[0]}")
                if method == "get" and there[0] not in {404, 405} and not route.pattern.startswith(REDIRECTS):
                    wrong.append(f"{door} GET {route.pattern}: {there[0]}, not 404")
    assert wrong == [], "\n".join(wrong)
    assert asked > 300
    assert snapshot(ours) == before
    assert snapshot(theirs, but=_MAY_CHANGE) == mine
    with theirs.inside():
        assert set(Event.objects.filter(actor_id=theirs.people["everything"].pk).values_list("kind", flat=True)) <= {
            "incident.opened",
            "token.created",
            "access.refused",
        }


#: A refusal is recorded, a token notes when it was used, and a key remembers its answer; nothing else may change.
_MAY_CHANGE = frozenset({"events_event", "events_outbox", "events_eventtext", "access_apitoken", "api_idempotencykey"})


def test_nobody_enters_by_the_address_of_another_tenant(two: tuple[Desk, Desk, Any]) -> None:
    """Signed in to B, with B's token, or not at all: at A's address the answer is always the same closed door."""
    ours, theirs, ticket = two
    with ours.inside():
        paths = [
            (route, route.fill({name: subject_of(route, ticket)(name) for name in route.parameters}))
            for route in routes()
            if not route.pattern.startswith(GLOBAL)
        ]
    doors = clients(theirs)
    before, wrong = snapshot(ours), []
    stranger = Client(raise_request_exception=False)
    for route, path in paths:
        is_api = route.pattern.startswith("api/")
        # Calendar programs are led to no login.
        outside = {401} if is_api else {404} if "<slug:secret>" in route.pattern else {302}
        attempts = [("session", doors["session"][0], {}, {404}), ("nobody", stranger, {}, outside)]
        if is_api:
            attempts.append(("token", doors["token"][0], doors["token"][2], {401}))
        for door, client, headers, expected in attempts:
            for method in ("get", "post"):
                status, body = normal(ask(client, method, ours.prefix + path, headers))
                if status not in expected or SECRET in body:
                    wrong.append(f"{door} {method} {ours.prefix}{path}: {status}")
    assert wrong == []
    assert snapshot(ours) == before


def test_lists_of_b_hold_nothing_of_a(two: tuple[Desk, Desk, Any]) -> None:
    _, theirs, _ = two
    client, prefix, _ = clients(theirs)["session"]
    pages = [route for route in routes() if not route.parameters and not route.pattern.startswith(GLOBAL)]
    for route in pages:
        for query in ("", f"?q={SECRET}"):
            status, body = normal(ask(client, "get", f"{prefix}{route.fill({})}{query}", {}))
            assert status < 500, route
            # A page may repeat what was asked; it must not answer it.
            assert SECRET not in body.replace(f"?q={SECRET}", "").replace(f'value="{SECRET}"', "") or query, route
    with theirs.inside():
        assert RoleGrant.objects.exists()
