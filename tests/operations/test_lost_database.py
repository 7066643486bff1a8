"""A database that goes away or does not answer in time: 503 with Retry-After on every door, and service afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import close_old_connections, connection, connections
from django.test import Client

from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk


@pytest.fixture
def desk(committed_db: CommittedDatabase) -> Desk:
    return make_desk("acme")


@pytest.fixture
def browser(desk: Desk) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(desk.users["agent"])
    return client


@pytest.fixture
def token(desk: Desk) -> dict[str, str]:
    return {"Authorization": f"Bearer {desk.token('agent')}"}


def is_busy_page(response: Any) -> None:
    assert (response.status_code, response["Retry-After"]) == (503, "2"), response.content[:300]
    assert response["Content-Type"] == "text/html; charset=utf-8"
    page = response.content.decode()
    assert "The service is busy" in page
    assert response["X-Request-ID"] in page
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]


def is_busy_problem(response: Any) -> None:
    assert (response.status_code, response["Retry-After"]) == (503, "2"), response.content[:300]
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], body["code"], body["request_id"]) == (503, "busy", response["X-Request-ID"])


@contextmanager
def closed_port() -> Iterator[None]:
    """New connections go to a port where nobody listens."""
    connections.close_all()
    settings = connections["default"].settings_dict
    before = {name: settings[name] for name in ("HOST", "PORT")}
    settings.update(HOST="127.0.0.1", PORT="1")
    try:
        yield
    finally:
        connections.close_all()
        settings.update(before)


def cut(database: CommittedDatabase) -> None:
    """The server ends every session of the app, also the one that Django holds."""
    with database.connect("app") as raw:
        raw.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND usename = current_user AND pid <> pg_backend_pid()"
        )


PAGES = ("/", "/t/acme/", "/t/acme/queue/", "/t/acme/incidents/new/", "/t/acme/admin/", "/t/nobody/queue/")
API = ("/api/v1/me/", "/t/acme/api/v1/incidents/", "/t/nobody/api/v1/incidents/")


def test_no_database_at_all(browser: Client, token: dict[str, str]) -> None:
    with closed_port():
        for path in PAGES:
            is_busy_page(browser.get(path))
        is_busy_page(
            Client(raise_request_exception=False).post("/accounts/login/", {"login": "a@b.example", "password": "b"})
        )
        for path in API:
            is_busy_problem(Client(raise_request_exception=False).get(path, headers=token))
    assert browser.get("/t/acme/queue/").status_code == 200
    assert Client().get("/api/v1/me/", headers=token).status_code == 200


def test_a_connection_that_the_server_ended(
    committed_db: CommittedDatabase, browser: Client, token: dict[str, str]
) -> None:
    """The first statement on it fails while the tenant is looked up; the next request has a new connection."""
    for client, path, headers, expected in (
        (browser, "/t/acme/queue/", {}, is_busy_page),
        (Client(raise_request_exception=False), "/api/v1/me/", token, is_busy_problem),
    ):
        assert client.get(path, headers=headers).status_code == 200
        cut(committed_db)
        expected(client.get(path, headers=headers))
        close_old_connections()  # what Django does between two requests; its test client keeps the connection
        assert client.get(path, headers=headers).status_code == 200


def test_a_connection_that_is_cut_inside_a_view_saves_nothing(
    committed_db: CommittedDatabase, desk: Desk, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from incidents.web import views

    opened = views.open_incident

    def cut_then(**given: Any) -> Any:
        opened(**given)
        cut(committed_db)
        return opened(**given)

    monkeypatch.setattr(views, "open_incident", cut_then)
    is_busy_page(browser.post("/t/acme/incidents/new/", {"title": "Lost", "impact": "3", "urgency": "3"}))
    close_old_connections()
    with committed_db.connect("owner") as owner:
        assert owner.execute("SELECT count(*) FROM tickets_ticket").fetchone() == (0,)


def test_a_statement_that_takes_too_long(
    desk: Desk, browser: Client, token: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from itsm.web.views import queue

    def slow(*_: object, **__: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 50")
            cursor.execute("SELECT pg_sleep(5)")

    monkeypatch.setattr(queue, "works_the_queue", slow)
    is_busy_page(browser.get("/t/acme/queue/"))
    monkeypatch.undo()
    assert browser.get("/t/acme/queue/").status_code == 200
    monkeypatch.setattr("itsm.web.middleware.actor_of_token", slow)
    is_busy_problem(Client(raise_request_exception=False).get("/api/v1/me/", headers=token))
    monkeypatch.undo()
    assert Client().get("/api/v1/me/", headers=token).status_code == 200


def test_any_other_fault_is_a_500(desk: Desk, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("itsm.web.views.queue.works_the_queue", broken)
    page: Any = browser.get("/t/acme/queue/")
    assert (page.status_code, page.has_header("Retry-After")) == (500, False)
    assert "Something went wrong" in page.content.decode()
    monkeypatch.setattr("itsm.web.middleware.member_of_user", broken)
    problem: Any = browser.get("/t/acme/api/v1/me/")
    assert (problem.status_code, problem["Content-Type"]) == (500, "application/problem+json")
    assert problem.json()["code"] == "internal_error"
