"""The shell: signing in, choosing a service desk, the queue, one's own requests, profile and tokens."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from incidents.commands import take_incident
from itsm.access.actors import actor_of_token
from itsm.access.commands import create_person, create_token, invite_user, set_person_active, update_person
from itsm.access.models import ApiToken
from itsm.events.models import Event
from itsm.tenancy.models import Person, Tenant
from itsm.tenancy.roles import database_role
from itsm.tickets.commands import assign_ticket
from itsm.tickets.commands.configuration import update_settings
from itsm.tickets.search import index_ticket
from tests.factories import Desk
from tests.web.conftest import Browser

PASSWORD = "correct horse battery"


def text(response: Any) -> str:
    return str(response.content.decode())


def test_sign_in_leads_to_the_one_desk_and_out_again(acme: Desk) -> None:
    client = Client(enforce_csrf_checks=True)
    door = client.get(f"{acme.prefix}/queue/")
    assert (door.status_code, door["Location"]) == (302, "/accounts/login/?next=/t/acme/queue/")
    page = client.get(door["Location"])
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text(page))
    assert token
    data = {"login": "Agent@Acme.example", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    assert client.post("/accounts/login/", {**data, "password": "wrong"}).status_code == 200
    inside = client.post("/accounts/login/", {**data, "next": "/"})
    assert inside["Location"] == "/"
    assert client.get("/")["Location"] == "/t/acme/"
    assert client.get("/t/acme/")["Location"] == "/t/acme/queue/"
    assert client.get("/accounts/logout/").status_code == 405
    assert client.post("/accounts/logout/").status_code == 403  # no token
    out = client.post("/accounts/logout/", {"csrfmiddlewaretoken": client.cookies["csrftoken"].value})
    assert out["Location"] == "/accounts/login/"
    assert client.get("/t/acme/queue/").status_code == 302


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_the_way_back_stays_on_this_site(acme: Desk, target: str) -> None:
    data = {"login": "agent@acme.example", "password": PASSWORD, "next": target}
    assert Client().post("/accounts/login/", data)["Location"] == "/"


def test_a_user_of_two_desks_chooses_and_switches(acme: Desk, globex: Desk, browser: Browser) -> None:
    user = acme.users["agent"]
    person = create_person(actor=globex.system, name="Double", email="double@globex.example")
    invite_user(actor=globex.system, person_id=person.pk, user=user)
    client = browser("agent")
    page = text(client.get("/"))
    assert re.findall(r'href="(/t/[a-z]+/)"', page) == ["/t/acme/", "/t/globex/"]
    assert client.get("/t/globex/")["Location"] == "/t/globex/incidents/mine/"
    assert '<a href="/?choose">' in text(client.get("/t/acme/profile/"))


def test_whoever_is_nobody_here_learns_nothing(acme: Desk, globex: Desk, browser: Browser) -> None:
    stranger = browser("agent", globex)
    known, unknown = stranger.get("/t/acme/queue/"), stranger.get("/t/nowhere/queue/")
    assert (known.status_code, unknown.status_code) == (404, 404)
    set_person_active(actor=globex.system, person_id=globex.people["agent"].pk, active=False)
    assert stranger.get("/t/globex/queue/").status_code == 404
    assert stranger.get("/queue/").status_code == 404


def test_a_tenant_on_its_own_host_needs_no_prefix_and_lets_people_sign_in(acme: Desk) -> None:
    with database_role("owner") as alias:
        Tenant.objects.using(alias).filter(pk=acme.tenant.pk).update(host="desk.acme.example")
    client = Client(headers={"host": "desk.acme.example"})
    assert client.get("/queue/")["Location"] == "/accounts/login/?next=/queue/"
    assert client.get("/accounts/login/").status_code == 200
    client.force_login(acme.users["agent"])
    assert client.get("/")["Location"] == "/queue/"


@pytest.mark.parametrize(
    ("who", "status"),
    [("agent", 200), ("hr", 200), ("manager", 200), ("admin", 200), ("auditor", 200), ("requester", 403)],
)
def test_who_enters_the_queue(acme: Desk, browser: Browser, who: str, status: int) -> None:
    response = browser(who).get(f"{acme.prefix}/queue/")
    assert response.status_code == status
    with acme.inside():
        assert Event.objects.filter(kind="access.refused").count() == (0 if status == 200 else 1)


def test_the_queue_filters_by_its_address(acme: Desk, browser: Browser) -> None:
    mine = acme.incident(title="Mail is slow")
    acme.incident(title="Door jams", impact=1, urgency=1)
    secret = acme.incident(title="Salary list")
    with acme.inside():
        take_incident(actor=acme.actor("agent"), ticket_id=mine.pk)
        assign_ticket(actor=acme.actor("hr"), ticket_id=secret.pk, team_id=acme.teams["hr"].pk)
        for ticket in (mine, secret):
            index_ticket(ticket.pk)
    agent = browser("agent")

    def titles(query: str) -> list[str]:
        return re.findall(r'class="title" href="[^"]+"><bdi>([^<]+)', text(agent.get(f"{acme.prefix}/queue/{query}")))

    assert titles("") == ["Door jams", "Mail is slow"]
    assert titles("?view=mine") == ["Mail is slow"]
    assert titles("?view=open&priority=1") == ["Door jams"]
    assert titles("?q=mail") == ["Mail is slow"]
    assert titles("?q=salary") == []
    assert titles("?view=open&team=&assignee=none&utm_source=x") == ["Door jams"]
    assert titles("?limit=1") == ["Door jams"]
    page = text(agent.get(f"{acme.prefix}/queue/"))
    assert re.findall(r'<span class="count">(\d+)</span>', page) == ["1", "1", "2", "1", "0", "0", "2", "0"]
    assert "hr" not in re.findall(r"<option[^>]*>([^<]+)</option>", page)
    following = re.search(r'href="([^"]+)">Next page', text(agent.get(f"{acme.prefix}/queue/?limit=1")))
    assert following
    assert titles("?" + following[1].split("?")[1].replace("&amp;", "&")) == ["Mail is slow"]


@pytest.mark.parametrize("query", ["view=x", "priority=0", "team=x", "after=x", "sort=password", "assignee=%00"])
def test_a_bad_filter_is_named(acme: Desk, browser: Browser, query: str) -> None:
    response = browser("agent").get(f"{acme.prefix}/queue/?{query}")
    assert response.status_code == 400
    assert f"<strong>{query.split('=')[0]}</strong>" in text(response)


def test_the_queue_costs_the_same_however_long_it_is(acme: Desk, browser: Browser) -> None:
    agent = browser("agent")

    def spent() -> int:
        with CaptureQueriesContext(connection) as queries:
            agent.get(f"{acme.prefix}/queue/")
        return len(queries)

    acme.incident()
    few = spent()
    for _ in range(7):
        acme.incident("colleague")
    assert spent() == few
    assert few <= 18


def test_my_requests_are_mine(acme: Desk, browser: Browser) -> None:
    acme.incident(title="Mine")
    acme.incident("colleague", title="Not mine")
    page = text(browser("requester").get(f"{acme.prefix}/incidents/mine/"))
    assert "Mine" in page
    assert "Not mine" not in page
    assert browser("requester").get(f"{acme.prefix}/incidents/mine/?after=junk").status_code == 400


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"title": "", "impact": "3", "urgency": "3"}, "required"),
        ({"title": "x" * 201, "impact": "3", "urgency": "3"}, "at most 200"),
        ({"title": "a\x00b", "impact": "3", "urgency": "3"}, "Null characters"),
        ({"title": "kept title", "impact": "9", "urgency": "3"}, "Select a valid choice"),
        ({"title": "kept title", "impact": "3", "urgency": "3", "service": "nope"}, "Select a valid choice"),
        ({"title": "kept title", "impact": "3", "urgency": "3", "requester": "ghost@x.example"}, "Nobody here"),
    ],
)
def test_a_new_incident_with_bad_input(acme: Desk, browser: Browser, data: dict[str, str], says: str) -> None:
    response = browser("agent").post(f"{acme.prefix}/incidents/new/", data)
    assert response.status_code == 400
    assert says in text(response)
    if data["title"] == "kept title":
        assert 'value="kept title"' in text(response)
    with acme.inside():
        assert not Event.objects.filter(kind="incident.opened").exists()


def test_who_may_not_log_an_incident(acme: Desk, browser: Browser) -> None:
    auditor = browser("auditor")
    assert auditor.get(f"{acme.prefix}/incidents/new/").status_code == 403
    response = auditor.post(f"{acme.prefix}/incidents/new/", {"title": "x", "impact": "3", "urgency": "3"})
    assert response.status_code == 403
    assert "New incident" not in text(auditor.get(f"{acme.prefix}/queue/"))


def test_language_zone_and_direction_follow_the_person(acme: Desk, browser: Browser) -> None:
    client = browser("requester")
    assert client.post(f"{acme.prefix}/profile/", {"language": "ar", "time_zone": "Asia/Tokyo"}).status_code == 302
    assert '<html lang="ar" dir="rtl">' in text(client.get(f"{acme.prefix}/incidents/mine/"))
    for bad in ({"language": "xx", "time_zone": "UTC"}, {"language": "de", "time_zone": "Mars/Olympus"}):
        assert client.post(f"{acme.prefix}/profile/", bad).status_code == 400
    with acme.inside():
        person = Person.objects.get(pk=acme.people["requester"].pk)
    assert (person.language, person.time_zone) == ("ar", "Asia/Tokyo")


def test_instants_are_shown_in_the_readers_zone(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    update_settings(actor=acme.system, time_zone="Africa/Nairobi")
    assert "EAT" in text(browser("requester").get(f"{acme.prefix}/incidents/{ticket.number}/"))
    update_person(actor=acme.system, person_id=acme.people["requester"].pk, time_zone="Asia/Tokyo")
    page = text(browser("requester").get(f"{acme.prefix}/incidents/{ticket.number}/"))
    assert "JST" in page
    assert re.search(r'<time datetime="[0-9T:-]+\+00:00"', page)


def test_a_token_shows_its_secret_once(acme: Desk, browser: Browser) -> None:
    client = browser("agent")
    made = client.post(f"{acme.prefix}/tokens/", {"name": "Script", "scopes": ["incidents:read"]})
    assert made.status_code == 201
    assert "no-store" in made["Cache-Control"]
    secret = re.search(r"vbl_[\w-]{30,}", text(made))
    assert secret
    with acme.inside():
        actor = actor_of_token(acme.tenant.pk, secret[0])
        assert actor is not None
        token = ApiToken.objects.get()
    again = text(client.get(f"{acme.prefix}/tokens/"))
    assert secret[0] not in again
    assert "Script" in again
    assert browser("requester").post(f"{acme.prefix}/tokens/{token.pk}/revoke/").status_code == 403
    with acme.inside():
        assert ApiToken.objects.get().revoked_at is None
    assert client.post(f"{acme.prefix}/tokens/{token.pk}/revoke/").status_code == 302
    with acme.inside():
        assert actor_of_token(acme.tenant.pk, secret[0]) is None


@pytest.mark.parametrize(
    "data",
    [
        {"name": "", "scopes": ["incidents:read"]},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["everything"]},
        {"name": "x", "scopes": ["incidents:read"], "expires_at": "2001-01-01"},
        {"name": "x", "scopes": ["incidents:read"], "expires_at": "0001-01-01"},
        {"name": "x", "scopes": ["incidents:read"], "expires_at": "soon"},
    ],
)
def test_a_bad_token_is_not_made(acme: Desk, browser: Browser, data: dict[str, Any]) -> None:
    assert browser("agent").post(f"{acme.prefix}/tokens/", data).status_code == 400
    with acme.inside():
        assert ApiToken.objects.count() == 0


def test_a_token_form_without_anything_in_it_is_told_what_is_missing(acme: Desk, browser: Browser) -> None:
    answer = browser("agent").post(f"{acme.prefix}/tokens/", {})
    assert answer.status_code == 400
    assert text(answer).count("This field is required.") == 2
    with acme.inside():
        assert not ApiToken.objects.exists()


def test_another_tenants_token_cannot_be_revoked(acme: Desk, globex: Desk, browser: Browser) -> None:
    token, _ = create_token(actor=globex.actor("agent"), name="theirs", scopes=["incidents:read"])
    assert browser("admin").post(f"{acme.prefix}/tokens/{token.pk}/revoke/").status_code == 404
    with globex.inside():
        assert ApiToken.objects.get().revoked_at is None


def test_unknown_pages_and_too_large_forms_have_a_page(acme: Desk, browser: Browser) -> None:
    agent = browser("agent")
    missing = agent.get(f"{acme.prefix}/nowhere/")
    assert missing.status_code == 404
    assert "There is no such page" in text(missing)
    large = agent.post(
        f"{acme.prefix}/incidents/new/", f"title={'x' * 2_100_000}", content_type="application/x-www-form-urlencoded"
    )
    assert large.status_code == 413
    assert "This is too large" in text(large)


def test_the_password_page_changes_it(acme: Desk, browser: Browser) -> None:
    client = browser("agent")
    new = "another long battery"
    data = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert client.post("/accounts/password/", {**data, "oldpassword": "wrong"}).status_code == 200
    assert client.post("/accounts/password/", data)["Location"] == "/"
    assert Client().login(username="agent@acme.example", password=new)
