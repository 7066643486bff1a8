"""Who am I, my tokens, the directory, the browser's session, the limits, and the document."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client, override_settings

from itsm.access import limits
from itsm.access.models import ApiToken
from itsm.access.organisations import create_organisation
from itsm.tickets.models import Ticket
from tests.api.caller import Caller, problem
from tests.factories import Desk


def browser(desk: Desk, who: str) -> Client:
    """A signed-in browser that checks CSRF as a real one."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(desk.users[who])
    return client


def test_me(acme: Desk, agent: Caller) -> None:
    me = agent.get("me").json()
    assert (me["name"], me["email"], me["kind"]) == ("agent of acme", "agent@acme.example", "token")
    assert me["tenant"] == {"id": str(acme.tenant.pk), "slug": "acme", "name": "Acme"}
    team = acme.teams["network"]
    assert me["grants"] == [
        {"role": "agent", "process": None, "team": None},
        {"role": "agent", "process": None, "team": {"id": str(team.pk), "name": "network"}},
    ]
    assert "incident.resolve" in me["permissions"]
    assert "token.create" not in me["permissions"]
    narrow = Caller(acme, "agent", "incidents:read").get("me/").json()
    assert narrow["permissions"] == ["ticket.read", "ticket.read_internal", "ticket.export"]


def test_a_browser_needs_its_csrf_token_to_write(acme: Desk) -> None:
    client = browser(acme, "agent")
    assert client.get("/t/acme/api/v1/me/").json()["kind"] == "person"
    body = {"data": {"title": "x"}, "content_type": "application/json"}
    problem(client.post("/t/acme/api/v1/incidents/", **body), 403, "csrf_failed")
    with acme.inside():
        assert Ticket.objects.count() == 0
    client.cookies["csrftoken"] = "a" * 32
    assert client.post("/t/acme/api/v1/incidents/", **body, headers={"X-CSRFToken": "a" * 32}).status_code == 201
    problem(client.get("/api/v1/me/"), 401, "not_authenticated")
    problem(client.get("/t/globex/api/v1/me/"), 404, "not_found")


def test_tokens_are_made_in_the_browser_shown_once_and_revoked(acme: Desk, agent: Caller) -> None:
    client = browser(acme, "agent")
    client.cookies["csrftoken"] = "a" * 32

    def post(body: object, **headers: str) -> object:
        return client.post(
            "/t/acme/api/v1/tokens/",
            body,
            content_type="application/json",
            headers={"X-CSRFToken": "a" * 32, **headers},
        )

    wanted = {"name": "CI", "scopes": ["incidents:read"], "expires_at": "2099-01-01T00:00:00Z"}
    made = post(wanted, **{"Idempotency-Key": "t"})
    body = made.json()  # type: ignore[attr-defined]
    assert body["secret"].startswith(body["prefix"])
    again = post(wanted, **{"Idempotency-Key": "t"}).json()  # type: ignore[attr-defined]
    assert again == {**body, "secret": None}
    with acme.inside():
        assert body["secret"].encode() not in bytes(ApiToken.objects.get(pk=body["id"]).secret_hash)
    new = Client()
    headers = {"Authorization": f"Bearer {body['secret']}"}
    assert new.get("/api/v1/incidents/", headers=headers).status_code == 200
    listed = client.get("/t/acme/api/v1/tokens/").json()["results"]
    assert [token["name"] for token in listed] == ["CI", "test"]
    assert "secret" not in listed[0]
    # A token sees and ends itself alone, and makes no other.
    assert [t["id"] for t in new.get("/api/v1/tokens/", headers=headers).json()["results"]] == [body["id"]]
    assert new.get(f"/api/v1/tokens/{body['id']}/", headers=headers).json()["name"] == "CI"
    problem(new.get(f"/api/v1/tokens/{listed[1]['id']}/", headers=headers), 404, "not_found")
    problem(new.delete(f"/api/v1/tokens/{listed[1]['id']}/", headers=headers), 404, "not_found")
    problem(agent.post("tokens/", {"name": "x", "scopes": ["incidents:read"]}), 403, "forbidden")
    for wrong, pointer in (
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": ["everything"]}, "/scopes/0"),
        ({"name": "x", "scopes": "incidents:read"}, "/scopes"),
        ({"name": "", "scopes": ["incidents:read"]}, "/name"),
        ({"name": "x", "scopes": ["incidents:read"], "expires_at": "tomorrow"}, "/expires_at"),
        ({"name": "x", "scopes": ["incidents:read"], "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
    ):
        assert problem(post(wrong), 400, "invalid")["errors"][0]["pointer"] == pointer
    assert new.delete(f"/api/v1/tokens/{body['id']}/", headers=headers).status_code == 204
    problem(new.get("/api/v1/incidents/", headers=headers), 401, "not_authenticated")
    problem(Caller(acme, "requester").get(f"tokens/{listed[1]['id']}/"), 404, "not_found")


def test_directory(acme: Desk, globex: Desk, agent: Caller, requester: Caller) -> None:
    assert [team["name"] for team in agent.get("teams/").json()["results"]] == ["apps", "network"]
    # Who manages teams knows the restricted ones too; but never through a token.
    admin = browser(acme, "admin").get("/t/acme/api/v1/teams/").json()["results"]
    assert [team["name"] for team in admin] == ["apps", "hr", "network"]
    assert [team["name"] for team in Caller(acme, "admin").get("teams/").json()["results"]] == ["apps", "network"]
    (person,) = agent.get("users/?email=HR@acme.example").json()["results"]
    assert agent.get(f"users/{person['id']}/").json() == person
    assert agent.get("users/?email=agent@globex.example").json()["results"] == []
    problem(agent.get(f"users/{globex.people['agent'].pk}/"), 404, "not_found")
    network = agent.get(f"users/?team={acme.teams['network'].pk}").json()["results"]
    assert [p["name"] for p in network] == ["agent of acme"]
    problem(agent.get("users/?name=x"), 400, "invalid")
    group = create_organisation(actor=acme.actor("admin"), name="Group")
    unit = create_organisation(actor=acme.actor("admin"), name="Unit", parent_id=group.pk)
    assert agent.get(f"organisations/{unit.pk}/").json() == {
        "id": str(unit.pk), "name": "Unit", "parent": str(group.pk), "is_active": True,
    }  # fmt: skip
    problem(Caller(globex, "agent").get(f"organisations/{unit.pk}/"), 404, "not_found")
    for address in ("services/", "categories/"):
        assert requester.get(address).json()["results"] == []
    for address in ("teams/", "users/", "organisations/"):
        problem(requester.get(address), 403, "forbidden")
    problem(agent.get("teams/nonsense/"), 404, "not_found")


@override_settings(API_RATE_LIMITS={"token": (3, 3600), "tenant": (5, 3600)})
def test_limits_per_token_and_per_tenant(acme: Desk, globex: Desk, agent: Caller, requester: Caller) -> None:
    cache.clear()
    for left in (2, 1, 0):
        answer = agent.get("me/")
        assert answer.status_code == 200
        assert answer["RateLimit-Policy"] == '"token";q=3;w=3600, "tenant";q=5;w=3600'
        assert answer["RateLimit"].startswith(f'"token";r={left};t=')
    refused = agent.get("me/")
    problem(refused, 429, "rate_limited")
    assert 0 < int(refused["Retry-After"]) <= 3600
    assert refused["RateLimit"].startswith('"token";r=0;t=')
    assert requester.get("me/").status_code == 200
    assert "tenant" in problem(requester.get("me/"), 429, "rate_limited")["detail"]
    assert Caller(globex, "agent").get("me/").status_code == 200
    cache.clear()


@override_settings(
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
            "OPTIONS": {"socket_connect_timeout": 0.5},
        }
    }
)
def test_limits_are_open_when_valkey_is_down(
    agent: Caller, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_silent_until", 0.0)
    for _ in range(3):
        answer = agent.get("me/")
        assert (answer.status_code, "RateLimit" in answer) == (200, False)
    assert [r.getMessage()[:20] for r in caplog.records if r.name == "itsm.access.limits"] == ["rate limits are open"]
    monkeypatch.setattr(limits, "_silent_until", 0.0)


def test_the_document_and_its_page_work_without_signing_in(db: None) -> None:
    client = Client()
    document = client.get("/api/v1/schema/").json()
    assert document["openapi"] == "3.1.1"
    assert "/api/v1/incidents/{key}/resolve/" in document["paths"]
    page = client.get("/api/v1/docs")
    text = page.content.decode()
    assert 'data-schema="/api/v1/schema/"' in text
    assert "//cdn" not in text
    assert "<script>" not in text, "the content security policy allows no inline script"
    assert "script-src" in page["Content-Security-Policy"] or "default-src 'self'" in page["Content-Security-Policy"]
