"""What browsers are told on every door, also when something is refused or breaks; and Django's own check of production."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.api.caller import Caller
from tests.factories import Desk

POLICY = {
    "default-src 'self'", "img-src 'self' data:", "object-src 'none'", "base-uri 'none'", "form-action 'self'",
    "frame-ancestors 'none'",
}  # fmt: skip


def walls(response: Any, status: int) -> None:
    """The headers that every answer has."""
    assert response.status_code == status
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["X-Request-ID"]


def policy(response: Any) -> set[str]:
    return {part.strip() for part in response["Content-Security-Policy"].split(";")}


def test_pages(acme: Desk) -> None:
    client = Client(raise_request_exception=False)
    for path, status in (
        ("/accounts/login/", 200),
        ("/t/acme/queue/", 302),
        ("/nowhere/", 404),
        ("/healthz/live", 200),
    ):
        answer = client.get(path)
        walls(answer, status)
        assert policy(answer) == POLICY
    number = acme.incident().number
    for who, path in (
        ("agent", "queue/"), ("agent", f"incidents/{number}/"), ("requester", "incidents/new/"), ("admin", "admin/"),
    ):  # fmt: skip
        client.force_login(acme.users[who])
        answer = client.get(f"/t/acme/{path}")
        walls(answer, 200)
        assert policy(answer) == POLICY, path
    walls(client.get("/static/itsm/viable.css"), 200)


def test_refusals_and_faults(acme: Desk, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(acme.users["requester"])
    walls(client.get("/t/acme/reports/incidents/"), 403)
    walls(client.get("/t/globex/queue/"), 404)
    walls(Client(enforce_csrf_checks=True).post("/accounts/login/"), 403)

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("itsm.web.views.home.works_the_queue", broken)
    answer = client.get("/t/acme/")
    walls(answer, 500)
    assert policy(answer) == POLICY
    settings.ALLOWED_HOSTS = ["localhost"]
    walls(client.get("/", headers={"Host": "evil.example"}), 400)


def test_the_api(acme: Desk) -> None:
    api = Caller(acme, "agent")
    walls(api.get("me/"), 200)
    walls(api.get("incidents/INC9999999/"), 404)
    walls(api.post("incidents/", b"{"), 400)
    walls(api.get("nowhere/"), 404)
    walls(Client().get("/api/v1/me/"), 401)
    walls(Client().get("/t/nobody/api/v1/me/"), 401)
    for answer in (api.get("me/"), Client().get("/api/v1/me/")):
        assert "frame-ancestors 'none'" in policy(answer)


def test_every_other_kind_of_answer(acme: Desk) -> None:
    """Redirects, files made on the fly, oversize bodies, wrong methods, answers without a body, HEAD and not modified."""
    client = Client(raise_request_exception=False)
    client.force_login(acme.users["manager"])
    number = acme.incident().number
    walls(client.get("/t/acme/"), 302)
    walls(client.get("/t/acme"), 302)
    walls(client.post(f"/t/acme/incidents/{number}/explode/"), 404)
    walls(client.delete("/t/acme/queue/"), 405)
    walls(client.head("/t/acme/queue/"), 200)
    walls(client.post("/t/acme/incidents/new/", {}), 400)
    report = client.get("/t/acme/reports/incidents.csv")
    walls(report, 200)
    assert report["Content-Disposition"].startswith("attachment")
    walls(client.generic("POST", "/accounts/login/", b"x", CONTENT_LENGTH="9999999"), 413)
    static = client.get("/static/itsm/viable.css")
    walls(client.get("/static/itsm/viable.css", headers={"If-Modified-Since": static["Last-Modified"]}), 304)
    walls(client.get("/static/nowhere.css"), 404)
    walls(Client().get("/metrics", REMOTE_ADDR="203.0.113.9"), 404)
    api = Caller(acme, "agent")
    walls(api.send("HEAD", "incidents/"), 200)
    walls(api.send("PUT", "incidents/"), 405)
    walls(api.post(f"incidents/{number}/watch/", {}), 204)
    walls(api.post("incidents/", b"<x/>", content_type="text/xml"), 415)
    walls(api.get("docs/"), 200)
    walls(api.get("schema/"), 200)


def test_attachments_are_inert(acme: Desk) -> None:
    """They are saved, not shown, and would be in a sandbox if they were; what a browser runs is not even taken."""
    api = Caller(acme, "agent")
    number = acme.incident().number
    page = SimpleUploadedFile("a.html", b"<script>alert(1)</script>", "text/html")
    assert api.upload(f"incidents/{number}/attachments/", {"file": page}).status_code == 400
    text = SimpleUploadedFile("a.txt", b"hello", "text/html")
    made = api.upload(f"incidents/{number}/attachments/", {"file": text})
    assert made.status_code == 201, made.content
    answer = api.get(f"incidents/{number}/attachments/{made.json()['id']}/content/")
    walls(answer, 200)
    assert answer["Content-Disposition"].startswith("attachment")
    assert "sandbox" in policy(answer)


ROOT = Path(__file__).resolve().parents[2]


def production(program: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.prod",
        "SECRET_KEY": "k3y-" * 20 + "abcdefghijklmnop",
        "ALLOWED_HOSTS": "desk.example.org",
        **variables,
    }
    return subprocess.run(
        [sys.executable, *program], env=environ, cwd=ROOT, capture_output=True, text=True, check=False
    )  # fmt: skip


def test_production_is_clean() -> None:
    check = ["manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    clean = production(check)
    assert (clean.returncode, clean.stdout.strip()) == (0, "System check identified no issues (0 silenced).")
    careless = production(check, SECURE_COOKIES="no", SECURE_SSL_REDIRECT="no", HSTS_SECONDS="0")
    assert careless.returncode == 1
    for code in ("security.W004", "security.W008", "security.W012", "security.W016"):
        assert code in careless.stderr


def test_production_insists_on_https() -> None:
    program = """
import django
django.setup()
from django.test import Client
plain, safe = Client().get("/accounts/login/", headers={"Host": "desk.example.org"}), {"X-Forwarded-Proto": "https"}
print(plain.status_code, plain["Location"])
answer = Client().get("/healthz/live", headers={"Host": "desk.example.org", **safe})
print(answer.status_code, answer["Strict-Transport-Security"])
print(Client().get("/healthz/live", headers={"Host": "desk.example.org"}).status_code)
"""
    answer = production(["-c", program], STATIC_ROOT="/nonexistent", LOG_LEVEL="ERROR")
    assert answer.stdout.splitlines() == [
        "301 https://desk.example.org/accounts/login/",
        "200 max-age=31536000; includeSubDomains; preload",
        "200",
    ], answer.stderr[-2000:]
