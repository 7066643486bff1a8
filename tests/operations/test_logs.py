"""Log lines: one per event, with ids, without names, texts and secrets."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError
from django.test import Client

from config.observe.logs import JsonFormatter, LineFormatter
from config.observe.tasks import begin, end
from incidents.models import Incident
from itsm.kernel.trace import trace, traced
from tests.api.caller import Caller
from tests.factories import Desk

CANARY = "Kanarienvogel"


class Lines:
    """What the root logger wrote, as it would be written in production."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(JsonFormatter())

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def of(self, logger: str) -> list[dict[str, Any]]:
        return [line for line in self.all() if line["logger"] == logger]

    @property
    def text(self) -> str:
        return self.stream.getvalue()


@pytest.fixture
def lines() -> Iterator[Lines]:
    found = Lines()
    root = logging.getLogger()
    root.addHandler(found.handler)
    yield found
    root.removeHandler(found.handler)


def test_one_access_line_with_the_ids(acme: Desk, lines: Lines) -> None:
    ticket = acme.incident()
    api = Caller(acme, "agent")
    response = api.get(f"incidents/{ticket.number}/", X_Request_ID="trace-me-12345")
    assert response.status_code == 200
    (line,) = lines.of("viable.request")
    assert {name: line[name] for name in line if name not in {"time", "ms"}} == {
        "level": "INFO",
        "logger": "viable.request",
        "message": "request",
        "request_id": "trace-me-12345",
        "tenant": "acme",
        "tenant_id": str(acme.tenant.pk),
        "actor_id": str(acme.people["agent"].pk),
        "method": "GET",
        "route": "/api/v1/incidents/<str:key>/",
        "status": 200,
    }
    assert line["ms"] > 0
    assert trace() == {}


def test_what_clients_do_wrong_is_no_warning(acme: Desk, lines: Lines, settings: Any) -> None:
    client = Client(raise_request_exception=False)
    secret = f"/accounts/invitation/{CANARY}/{CANARY}/"
    for path, status in (
        ("/api/v1/me/", 401), (f"/{CANARY}/", 404), ("/t/nobody/queue/", 302), (f"/?{CANARY}=1", 302), (secret, 200),
    ):  # fmt: skip
        assert client.get(path, headers={"X-Probe": CANARY}).status_code == status, path
    assert Client(enforce_csrf_checks=True).post("/accounts/login/", {"username": CANARY}).status_code == 403
    settings.ALLOWED_HOSTS = ["localhost"]
    assert client.get("/accounts/login/", headers={"Host": "evil.example"}).status_code == 400
    assert {line["level"] for line in lines.all()} == {"INFO"}
    assert len(lines.of("viable.request")) == 7
    assert CANARY not in lines.text


def test_nothing_that_people_write_or_keep_secret(acme: Desk, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, mail addresses, texts, passwords, tokens, search words: not on the way, and not when it breaks."""
    acme.incident()
    secret = acme.token("agent")
    client = Client(raise_request_exception=False)
    bearer = {"Authorization": f"Bearer {secret}"}
    made = client.post(
        "/api/v1/incidents/",
        json.dumps({"title": CANARY, "description": CANARY}),
        content_type="application/json",
        headers=bearer,
    )
    assert made.status_code == 201
    number = made.json()["number"]
    assert client.get(f"/api/v1/incidents/?q={CANARY}", headers=bearer).status_code in (200, 400)
    assert client.post("/accounts/login/", {"username": f"{CANARY}@x.example", "password": CANARY}).status_code == 200
    client.force_login(acme.users["agent"])
    assert client.get(f"/t/acme/queue/?q={CANARY}").status_code == 200
    assert client.get(f"/t/acme/incidents/{number}/").status_code == 200

    def broken(*_: object, **__: object) -> None:
        raise ValueError(CANARY) from IntegrityError(f"Key (title)=({CANARY}) already exists.")

    monkeypatch.setattr("itsm.web.views.queue.works_the_queue", broken)
    assert client.get(f"/t/acme/queue/?q={CANARY}").status_code == 500
    monkeypatch.setattr("itsm.api.throttling.take", broken)
    assert client.get(f"/api/v1/incidents/{number}/?{CANARY}=1", headers=bearer).status_code == 500
    errors = [line for line in lines.all() if line["level"] == "ERROR"]
    assert [(line["logger"], line["tenant"]) for line in errors][:2] == [
        ("django.request", "acme"),
        ("itsm.api.exceptions", "acme"),
    ]
    assert errors[0]["exception"]["type"] == "builtins.ValueError"
    assert errors[0]["exception"]["cause"]["type"] == "django.db.utils.IntegrityError"
    assert any("queue.py" in place for place in errors[0]["exception"]["stack"])
    for word in (CANARY, secret, secret[:12], "agent of acme", "agent@acme.example", "printer is on fire"):
        assert word not in lines.text
    assert Incident.__name__ not in {line["message"] for line in lines.all()}


def test_engines_may_speak() -> None:
    try:
        raise OperationalError("connection refused\nSELECT 1")
    except OperationalError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "lost", (), sys.exc_info())
    line = json.loads(JsonFormatter().format(record))
    assert line["exception"]["says"] == "connection refused"


def test_unknown_extras_stay_out() -> None:
    record = logging.makeLogRecord({"name": "x", "msg": "m", "title": CANARY, "event_id": "e1"})
    line = json.loads(JsonFormatter().format(record))
    assert (line["event_id"], "title" in line) == ("e1", False)


def test_a_line_for_people_has_the_ids_behind_it() -> None:
    with traced(request_id="r-1", tenant="acme"):
        line = LineFormatter().format(logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "hello"}))
    assert line.endswith("INFO x hello request_id=r-1 tenant=acme")


def test_a_task_leaves_one_line_with_its_ids(lines: Lines) -> None:
    class Probe:
        name = "probe.task"

    probe: Any = Probe()
    before = trace()
    begin(task_id="t-1", task=probe)
    logging.getLogger("itsm.probe").warning("inside")
    end(task_id="t-1", task=probe, retval=None, state="SUCCESS")
    begin(task_id="t-2", task=probe)
    end(task_id="t-2", task=probe, retval=ValueError(CANARY), state="FAILURE")
    inside, done, failed = lines.all()
    assert (inside["task"], inside["task_id"]) == ("probe.task", "t-1")
    assert (done["level"], done["outcome"], done["task_id"]) == ("INFO", "success", "t-1")
    assert (failed["level"], failed["outcome"], failed["exception"]["type"]) == (
        "ERROR", "failure", "builtins.ValueError",
    )  # fmt: skip
    assert CANARY not in lines.text
    assert trace() == before


def test_production_writes_json_and_an_unknown_format_is_refused() -> None:
    program = "import django; django.setup(); import logging; logging.getLogger('x').info('hello')"

    def start(**variables: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.prod", "SECRET_KEY": "x" * 50, **variables}
        return subprocess.run(
            [sys.executable, "-c", program], env=environ, capture_output=True, text=True,
            cwd=Path(__file__).resolve().parents[2], check=False,
        )  # fmt: skip

    assert json.loads(start().stderr)["message"] == "hello"
    assert start(LOG_FORMAT="line").stderr.rstrip().endswith("INFO x hello")
    assert "LOG_FORMAT='xml' is none of: line, json." in start(LOG_FORMAT="xml").stderr
