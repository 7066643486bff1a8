"""Addresses that nobody's browser sends: every one gets an answer of ours, and none is a crash."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError
from django.test import Client

from itsm.tickets import queue
from itsm.tickets.models import Ticket
from tests.factories import Desk
from tests.web.conftest import Browser

ID = "0190c2a1-7f3e-7c11-8d2a-5b1f0a9c3e44"


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/queue/?limit=0000000019999999999", 400),
        ("/queue/?limit=000000001" + "9" * 5000, 400),
        ("/queue/?updated_since=2026-01-01T00:00:00%2B23:59", 200),
        ("/queue/?updated_since=0001-01-01T00:00:00%2B14:00", 400),
        ("/queue/?updated_since=9999-12-31T23:59:59-14:00", 400),
        (f"/queue/?sort=number&after={cursor('number', chr(0xD800), ID, False)}", 400),
        (f"/queue/?sort=updated&after={cursor('updated', '2026-01-01T00:00:00+23:59', ID, False)}", 200),
        (f"/queue/?sort=updated&after={cursor('updated', '0001-01-01T00:00:00+14:00', ID, False)}", 400),
        (f"/queue/?after={cursor('priority', 10**30, ID, False)}", 400),
        (f"/queue/?after={cursor('priority', 3, ID, False)}", 200),
        (f"/queue/?after={cursor('priority', 3, ID, True)}", 400),
        ("/admin/events/event/?kind=%00", 400),
        ("/admin/events/event/?occurred_at__year=99999999999999", 400),
        ("/admin/autocomplete/?app_label=access&model_name=rolegrant&field_name=person&term=%00", 400),
    ],
)
def test_odd_values_get_an_answer(acme: Desk, browser: Browser, address: str, status: int) -> None:
    client = browser("admin")
    client.raise_request_exception = False
    assert client.get(acme.prefix + address).status_code == status


def test_the_desk_without_a_slash_is_its_home(acme: Desk, browser: Browser) -> None:
    answer = browser("agent").get(acme.prefix)
    assert (answer.status_code, answer["Location"]) == (302, f"{acme.prefix}/queue/")


@pytest.mark.parametrize(("error", "status"), [(OperationalError, 503), (IntegrityError, 409)])
def test_what_the_database_refuses_becomes_a_page(
    acme: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch, error: type[Exception], status: int
) -> None:
    def refuse(*_: Any) -> None:
        raise error("deadlock detected")

    monkeypatch.setattr(queue, "page", refuse)
    client = browser("agent")
    client.raise_request_exception = False
    answer = client.get(f"{acme.prefix}/queue/")
    assert answer.status_code == status
    assert "deadlock" not in answer.content.decode()


@pytest.mark.parametrize(
    ("address", "size", "status"),
    [
        ("/accounts/login/", 64 * 1024 + 1, 413),
        ("/t/acme/incidents/new/", 128 * 1024 * 1024 + 1, 413),
        ("/t/acme/api/v1/incidents/", 10**30, 413),
    ],
)
def test_giant_bodies_are_refused_before_they_are_read(acme: Desk, address: str, size: int, status: int) -> None:
    answer = Client().generic(
        "POST",
        address,
        b"x",
        CONTENT_LENGTH=str(size),
        content_type="multipart/form-data",
        headers={"accept-language": "de"},
    )
    assert answer.status_code == status
    if "/api/" in address:
        assert answer.json()["code"] == "too_large"
    else:
        assert '<html lang="de"' in answer.content.decode()
        assert "senden Sie eine kleinere Datei oder weniger Text" in answer.content.decode()


@pytest.mark.parametrize("path", ["incidents/new/", "profile/"])
def test_more_form_than_is_read_is_a_413_with_the_remedy(acme: Desk, path: str) -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(acme.users["agent"])
    # With the cookie, the protection against forged forms looks for its word in the body.
    client.cookies["csrftoken"] = "a" * 32
    body = b"description=" + b"x" * (2 * 1024 * 1024)
    answer = client.post(f"{acme.prefix}/{path}", body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 413
    page = answer.content.decode()
    assert "This is too large" in page
    assert "put long texts into a file" in page
    with acme.inside():
        assert Ticket.objects.count() == 0
