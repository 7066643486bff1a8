"""Webhook endpoints and one's own words over REST: secrets shown once, bad input by its name, nobody else's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from itsm.events.models import Event
from itsm.kernel import clock
from itsm.notify import secret, wording
from itsm.notify.commands.endpoints import ENDPOINTS_MAX, OVERLAP, create_endpoint
from itsm.notify.commands.templates import set_template
from itsm.notify.models import Endpoint, MessageTemplate
from tests.api.caller import Caller, problem
from tests.factories import Desk
from tests.snapshot import changes, snapshot

pytestmark = pytest.mark.django_db
HOOKS, WORDS = "webhook-endpoints/", "message-templates/"
URL = "https://hooks.example.org/viable?key=1"
#: What a refused request itself leaves.
LEFT = frozenset({"api_idempotencykey"})


@pytest.fixture
def admin(acme: Desk) -> Caller:
    return Caller(acme, "admin")


def told(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["pointer"], one["code"]) for one in body["errors"]]


def test_an_endpoint_is_added_read_changed_and_listed(acme: Desk, admin: Caller) -> None:
    made = admin.post(
        HOOKS, {"name": "Chat", "url": URL, "kinds": ["incident.", "incident.opened"]}, Idempotency_Key="1"
    )
    body = made.json()
    assert (made.status_code, made["Location"].endswith(f"/api/v1/{HOOKS}{body['id']}/")) == (201, True)
    signing = body.pop("secret")
    with acme.inside():
        assert secret.open_sealed(Endpoint.objects.get(pk=body["id"]).secret) == signing
    assert body == {
        "id": body["id"],
        "name": "Chat",
        "url": URL,
        "kinds": ["incident.", "incident.opened"],
        "is_active": True,
        "failures": 0,
        "disabled_at": None,
        "disabled_reason": "",
        "previous_until": None,
        "created_at": body["created_at"],
    }
    again = admin.post(
        HOOKS, {"name": "Chat", "url": URL, "kinds": ["incident.", "incident.opened"]}, Idempotency_Key="1"
    )
    assert (again["Idempotent-Replayed"], again.json()) == ("true", {**body, "secret": None})
    assert admin.get(made["Location"]).json() == body
    assert admin.get(HOOKS).json()["results"] == [body]
    with acme.inside():
        off = {"is_active": False, "failures": 20, "disabled_at": clock.now(), "disabled_reason": "410 Gone"}
        Endpoint.objects.filter(pk=body["id"]).update(**off)
    shown = admin.get(made["Location"]).json()
    assert (shown["is_active"], shown["failures"], shown["disabled_reason"]) == (False, 20, "410 Gone")
    assert shown["disabled_at"] is not None
    changed = admin.patch(made["Location"], {"is_active": True, "name": "Talk", "kinds": []}).json()
    assert changed == {**body, "name": "Talk", "kinds": []}, "switched on again, its failures are forgotten"


def test_a_new_secret_is_shown_once(acme: Desk, admin: Caller) -> None:
    made, first = create_endpoint(actor=acme.actor("admin"), name="Chat", url=URL)
    before = clock.now()
    rotated = admin.post(f"{HOOKS}{made.pk}/rotate/", Idempotency_Key="1")
    second = rotated.json()["secret"]
    assert (rotated.status_code, second.startswith(secret.PREFIX), second == first) == (200, True, False)
    again = admin.post(f"{HOOKS}{made.pk}/rotate/", Idempotency_Key="1").json()
    assert again == {**rotated.json(), "secret": None}
    with acme.inside():
        row = Endpoint.objects.get(pk=made.pk)
    assert (secret.open_sealed(row.secret), secret.open_sealed(row.previous_secret)) == (second, first)
    assert row.previous_until is not None
    assert before + OVERLAP <= row.previous_until <= clock.now() + OVERLAP
    shown = admin.get(f"{HOOKS}{made.pk}/")
    assert shown.json()["previous_until"] == rotated.json()["previous_until"]
    for hidden in (first, second, row.secret, row.previous_secret):
        assert hidden not in shown.content.decode() + admin.get(HOOKS).content.decode()


def test_what_an_endpoint_cannot_be_is_refused_by_name(acme: Desk, admin: Caller) -> None:
    made, _ = create_endpoint(actor=acme.actor("admin"), name="Chat", url=URL)
    create_endpoint(actor=acme.actor("admin"), name="Taken", url=URL)
    before = snapshot(acme, but=LEFT)
    cases: list[tuple[dict[str, Any], tuple[str, str]]] = [
        ({"name": ""}, ("/name", "required")),
        ({"name": "Taken"}, ("/name", "taken")),
        ({"name": "x" * 101}, ("/name", "max_length")),
        ({"url": "http://hooks.example.org/"}, ("/url", "not_allowed")),
        ({"url": "https://127.0.0.1/"}, ("/url", "not_allowed")),
        ({"url": "https://user:word@hooks.example.org/"}, ("/url", "not_allowed")),
        ({"kinds": ["incident.opend"]}, ("/kinds", "unknown_kind")),
        ({"kinds": "incident."}, ("/kinds", "not_a_list")),
        ({"kinds": ["incident."] * 201}, ("/kinds", "max_length")),
        ({"kinds": [1]}, ("/kinds/0", "invalid")),
        ({"secret": "whsec_mine"}, ("/secret", "unknown_field")),
    ]
    for body, place in cases:
        for answer in (
            admin.post(HOOKS, {"name": "New", "url": URL, **body}),
            admin.patch(f"{HOOKS}{made.pk}/", body),
        ):
            found = told(problem(answer, 400, "invalid"))
            assert [one[0] for one in found] == [place[0]], (body, found)
            assert found == [place] or place[1] in {"required", "not_a_list"}, (body, found)
    assert told(problem(admin.post(HOOKS, {"name": "New"}), 400, "invalid")) == [("/url", "required")]
    assert (
        told(problem(admin.patch(f"{HOOKS}{made.pk}/", {"is_active": "perhaps"}), 400, "invalid"))[0][0] == "/is_active"
    )
    assert told(problem(admin.post(f"{HOOKS}{made.pk}/rotate/", {"secret": "x"}), 400, "invalid")) == [
        ("/secret", "unknown_field")
    ]
    assert changes(before, snapshot(acme, but=LEFT)) == []
    for number in range(2, ENDPOINTS_MAX):
        create_endpoint(actor=acme.actor("admin"), name=f"Number {number}", url=URL)
    assert told(problem(admin.post(HOOKS, {"name": "New", "url": URL}), 400, "invalid")) == [("/name", "too_many")]


def test_words_are_set_read_and_taken_back(acme: Desk, admin: Caller) -> None:
    english = {"key": "reply", "language": "en", "subject": "News of {ticket.number}", "text": "{event.text}"}
    german = {**english, "language": "de", "subject": "Neues zu {ticket.number}"}
    made = admin.post(WORDS, english)
    body = made.json()
    assert (made.status_code, {name: body[name] for name in english}) == (200, english)
    address = f"{WORDS}{body['id']}/"
    assert admin.get(address).json() == body
    other = admin.post(WORDS, german).json()
    changed = admin.post(WORDS, {**english, "text": "Look: {event.text}"}).json()
    assert (changed["id"], changed["text"]) == (body["id"], "Look: {event.text}")
    assert admin.get(WORDS).json()["results"] == [changed, other]
    assert admin.get(f"{WORDS}?limit=1&count=true").json()["total"] == 2
    assert admin.delete(address).status_code == 204
    assert admin.get(WORDS).json()["results"] == [other]
    for method in ("GET", "DELETE"):
        problem(admin.send(method, address), 404, "not_found")
    with acme.inside():
        kinds = Event.objects.filter(kind__startswith="template.").order_by("pk").values_list("kind", flat=True)
        assert list(kinds) == ["template.changed"] * 3 + ["template.removed"]


def test_words_that_cannot_be_used_are_refused_by_name(acme: Desk, admin: Caller) -> None:
    good = {"key": "reply", "language": "en", "subject": "{ticket.number}", "text": "x"}
    before = snapshot(acme, but=LEFT)
    for change, place in (
        ({"key": "nothing"}, ("/key", "unknown_key")),
        ({"language": "tlh"}, ("/language", "unknown_value")),
        ({"subject": "two\nlines"}, ("/subject", "control_character")),
        ({"subject": "{ticket.secret}"}, ("/subject", "unknown_placeholder")),
        ({"text": "{ticket.__class__}"}, ("/text", "unknown_placeholder")),
        ({"text": "{"}, ("/text", "single_brace")),
        ({"text": "x" * 10_001}, ("/text", "max_length")),
        ({"tenant": "x"}, ("/tenant", "unknown_field")),
    ):
        assert told(problem(admin.post(WORDS, {**good, **change}), 400, "invalid")) == [place], change
    body = problem(admin.post(WORDS, {}), 400, "invalid")
    assert {pointer for pointer, _ in told(body)} == {"/key", "/language", "/subject", "/text"}
    unknown = problem(admin.post(WORDS, {**good, "key": "nothing"}), 400, "invalid")["errors"][0]["detail"]
    assert all(key in unknown for key in wording.known_keys()), "the refusal lists what there is"
    assert changes(before, snapshot(acme, but=LEFT)) == []


def test_who_may(acme: Desk, globex: Desk, admin: Caller) -> None:
    """Addresses hold secrets, so that reading them takes the same right; what is another's was never there."""
    hook, _ = create_endpoint(actor=acme.actor("admin"), name="Chat", url=URL)
    words = set_template(actor=acme.actor("admin"), key="reply", language="en", subject="{ticket.number}", text="x")
    calls = [
        ("GET", HOOKS, None),
        ("POST", HOOKS, {"name": "New", "url": URL}),
        ("GET", f"{HOOKS}{hook.pk}/", None),
        ("PATCH", f"{HOOKS}{hook.pk}/", {"name": "Renamed"}),
        ("POST", f"{HOOKS}{hook.pk}/rotate/", {}),
        ("GET", WORDS, None),
        ("POST", WORDS, {"key": "reply", "language": "de", "subject": "x", "text": "x"}),
        ("GET", f"{WORDS}{words.pk}/", None),
        ("DELETE", f"{WORDS}{words.pk}/", None),
    ]
    scopes = ("incidents:write", "notifications:write", "sla:write", "oncall:write", "directory:read", "events:read")
    lesser = [Caller(acme, who) for who in ("requester", "agent", "manager", "owner", "auditor")]
    lesser.append(Caller(acme, "admin", *scopes))
    stranger, opened = Caller(globex, "admin"), Caller(acme, "admin", "webhooks:write")
    before, theirs = snapshot(acme, but=LEFT), snapshot(globex, but=LEFT)
    for method, address, body in calls:
        for caller in lesser:
            refused = problem(caller.send(method, address, body), 403, "forbidden")
            assert refused["permission"] == "notification.manage"
        if str(hook.pk) in address or str(words.pk) in address:
            problem(stranger.send(method, address, body), 404, "not_found")
            never = address.replace(str(hook.pk), str(uuid4())).replace(str(words.pk), str(uuid4()))
            problem(admin.send(method, never, body), 404, "not_found")
    assert stranger.get(HOOKS).json()["results"] == stranger.get(WORDS).json()["results"] == []
    assert changes(before, snapshot(acme, but=LEFT)) == changes(theirs, snapshot(globex, but=LEFT)) == []
    for method, address, body in calls:
        assert opened.send(method, address, body).status_code < 300, (method, address)
    problem(opened.get("incidents/"), 403, "forbidden")
    with acme.inside():
        assert not MessageTemplate.objects.filter(pk=words.pk).exists()
        assert Endpoint.objects.get(pk=hook.pk).created_at > clock.now() - timedelta(hours=1)
