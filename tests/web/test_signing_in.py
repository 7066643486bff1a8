"""Signing in: limits that tell nothing, a second step, passwords by mail, and no other doors."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from django.core.cache import cache
from django.test import Client, override_settings
from django.urls import NoReverseMatch, reverse

from itsm.tenancy.models import User
from itsm.web.cache import OpenCache

PASSWORD = "correct horse battery"
_ADDRESSES = (f"2001:db8:{n:x}::1" for n in count(uuid4().int % 60000))


def text(response: Any) -> str:
    return str(response.content.decode())


@pytest.fixture
def user(db: None) -> User:
    """Somebody of his own: the limits are counted outside the database, and other tests sign in as well."""
    return User.objects.create_user(f"{uuid4().hex}@acme.example", PASSWORD)


@pytest.fixture
def client() -> Client:
    """A browser from an address of its own."""
    return Client(REMOTE_ADDR=next(_ADDRESSES))


def attempt(client: Client, email: str, password: str = PASSWORD, **more: Any) -> Any:
    return client.post("/accounts/login/", {"login": email, "password": password}, **more)


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def answers(client: Client, email: str) -> list[tuple[int, str]]:
    """What seven wrong passwords get, without what differs between any two pages."""
    found = []
    for _ in range(7):
        response = attempt(client, email, "wrong")
        page = re.sub(r'value="[^"]*"|\b[0-9a-f-]{36}\b', "", text(response))
        found.append((response.status_code, page))
    return found


def test_guessing_ends_and_tells_nothing(user: User, client: Client) -> None:
    known, unknown = answers(client, user.email), answers(client, f"{uuid4().hex}@acme.example")
    assert [status for status, _ in known] == [200] * 5 + [429] * 2
    assert known == unknown
    assert "Address or password is not right" in known[0][1]
    assert "Too many attempts" in known[-1][1]
    right = attempt(client, user.email)
    assert (right.status_code, signed_in(client)) == (429, False)
    other = User.objects.create_user(f"{uuid4().hex}@acme.example", PASSWORD)
    assert attempt(client, other.email).status_code == 302


def test_the_lock_opens_by_itself_after_five_minutes(
    user: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, later = time.time, [0.0]
    monkeypatch.setattr("time.time", lambda: now() + later[0])
    assert [attempt(client, user.email, "wrong").status_code for _ in range(6)][-1] == 429
    for later[0] in (0.0, 240.0):
        elsewhere = Client(REMOTE_ADDR=next(_ADDRESSES))
        assert (attempt(elsewhere, user.email).status_code, signed_in(elsewhere)) == (429, False)
    later[0] = 600.0
    assert attempt(client, user.email).status_code == 302
    assert signed_in(client)


def test_one_address_cannot_try_many_accounts(client: Client, db: None) -> None:
    statuses = [attempt(client, f"{uuid4().hex}@acme.example", "wrong").status_code for _ in range(21)]
    assert statuses == [200] * 20 + [429]


@override_settings(ALLAUTH_TRUSTED_PROXY_COUNT=1)
def test_a_made_up_forwarding_does_not_help(client: Client, db: None) -> None:
    here = next(_ADDRESSES)
    statuses = [
        attempt(
            client, f"{uuid4().hex}@acme.example", "wrong", HTTP_X_FORWARDED_FOR=f"198.51.100.{n}, {here}"
        ).status_code
        for n in range(21)
    ]
    assert statuses[-1] == 429


def test_a_closed_account_stays_closed(user: User, client: Client) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    response = attempt(client, user.email)
    assert (response.headers.get("Location"), signed_in(client)) == ("/accounts/inactive/", False)
    assert "closed" in text(client.get("/accounts/inactive/"))


@pytest.mark.parametrize(
    "data", [{}, {"login": "a\x00b@x.example", "password": "x"}, {"login": "x" * 5000, "password": "x"}]
)
def test_nonsense_is_refused(client: Client, db: None, data: dict[str, str]) -> None:
    assert client.post("/accounts/login/", data).status_code == 200
    assert not signed_in(client)


@pytest.fixture
def no_valkey() -> Iterator[None]:
    """The cache talks to a port on which nobody listens."""
    OpenCache._silent_until = 0.0
    from django.conf import settings

    caches = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    with override_settings(CACHES=caches):
        yield
    OpenCache._silent_until = 0.0


def test_without_valkey_people_sign_in_all_the_same(user: User, client: Client, no_valkey: None) -> None:
    started = time.monotonic()
    assert [attempt(client, user.email, "wrong").status_code for _ in range(7)] == [200] * 7
    assert attempt(client, user.email)["Location"] == "/"
    assert signed_in(client)
    assert cache.get("x", "nothing") == "nothing"
    assert time.monotonic() - started < 10


def code(secret: str, step: int = 0) -> str:
    """What an authenticator app shows now (or some steps of 30 seconds away)."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + step)))


def set_up(client: Client, user: User) -> tuple[str, list[str]]:
    """Sign in and turn the second step on. Answers the secret and the recovery codes."""
    assert attempt(client, user.email).status_code == 302
    asked = client.get("/accounts/2fa/totp/activate/")["Location"]
    assert asked == "/accounts/reauthenticate/?next=%2Faccounts%2F2fa%2Ftotp%2Factivate%2F"
    assert client.post(asked, {"password": "wrong"}).status_code == 200
    assert client.post(asked, {"password": PASSWORD})["Location"] == "/accounts/2fa/totp/activate/"
    page = text(client.get("/accounts/2fa/totp/activate/"))
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", page)
    assert secret
    assert "<svg" in page
    assert " style=" not in page
    assert "data:" not in page
    assert client.post("/accounts/2fa/totp/activate/", {"code": "000000"}).status_code == 200
    assert not Authenticator.objects.filter(user_id=user.pk).exists()
    done = client.post("/accounts/2fa/totp/activate/", {"code": code(secret[1])})
    assert done["Location"] == "/accounts/2fa/recovery-codes/"
    codes = re.findall(r"<code>(\d{8})</code>", text(client.get(done["Location"])))
    assert len(codes) == 10
    return secret[1], codes


def test_the_second_step(user: User, client: Client) -> None:
    secret, codes = set_up(client, user)
    for row in Authenticator.objects.filter(user_id=user.pk):
        assert secret not in str(row.data)
    again = Client(REMOTE_ADDR=next(_ADDRESSES))
    assert attempt(again, user.email)["Location"] == "/accounts/2fa/authenticate/"
    assert not signed_in(again)
    assert again.get("/")["Location"].startswith("/accounts/login/")
    wrong = again.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert (wrong.status_code, signed_in(again)) == (200, False)
    assert again.post("/accounts/2fa/authenticate/", {"code": codes[0]})["Location"] == "/"
    assert signed_in(again)
    third = Client(REMOTE_ADDR=next(_ADDRESSES))
    attempt(third, user.email)
    used = third.post("/accounts/2fa/authenticate/", {"code": codes[0]})
    assert (used.status_code, signed_in(third)) == (200, False)
    assert third.post("/accounts/2fa/authenticate/", {"code": code(secret, 1)})["Location"] == "/"


def test_guessing_the_second_step_ends(user: User, client: Client) -> None:
    secret, _ = set_up(client, user)
    again = Client(REMOTE_ADDR=next(_ADDRESSES))
    attempt(again, user.email)
    for _ in range(6):
        again.post("/accounts/2fa/authenticate/", {"code": "000000"})
    again.post("/accounts/2fa/authenticate/", {"code": code(secret, 1)})
    assert not signed_in(again)


def test_a_lost_key_opens_nothing(user: User, client: Client) -> None:
    secret, codes = set_up(client, user)
    again = Client(REMOTE_ADDR=next(_ADDRESSES))
    with override_settings(SECRET_KEY="another one"):
        attempt(again, user.email)
        for one in (code(secret, 1), codes[1], code("")):
            again.post("/accounts/2fa/authenticate/", {"code": one})
        assert not signed_in(again)


def test_turning_it_off_asks_who_it_is(user: User, client: Client) -> None:
    set_up(client, user)
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= 3600
    session.save()
    asked = client.post("/accounts/2fa/totp/deactivate/")
    assert "reauthenticate" in asked["Location"]
    assert Authenticator.objects.filter(user_id=user.pk).count() == 2
    page = client.get(asked["Location"])
    assert "still you" in text(page)
    assert client.post(asked["Location"], {"password": "wrong"}).status_code == 200
    client.post(asked["Location"], {"password": PASSWORD})
    client.post("/accounts/2fa/totp/deactivate/")
    assert Authenticator.objects.filter(user_id=user.pk).count() == 0


def test_a_new_password_by_mail(user: User, client: Client) -> None:
    assert client.get("/accounts/password/reset/").status_code == 404
    assert "Ask your administrator" in text(client.get("/accounts/login/"))
    with override_settings(EMAIL_HOST="mail.example"):
        assert "/accounts/password/reset/" in text(client.get("/accounts/login/"))
        assert client.get("/accounts/password/reset/").status_code == 200
        pages = [
            client.post("/accounts/password/reset/", {"email": email}, follow=True)
            for email in (user.email, f"{uuid4().hex}@acme.example")
        ]
        assert re.sub(r'value="[^"]*"|[0-9a-f-]{36}', "", text(pages[0])) == re.sub(
            r'value="[^"]*"|[0-9a-f-]{36}', "", text(pages[1])
        )
    assert [message.to for message in mail.outbox] == [[user.email]]
    link = re.search(r"http://testserver(/\S+)", str(mail.outbox[0].body))
    assert link
    form = client.get(link[1])
    new = "another long battery"
    done = client.post(form["Location"], {"password1": new, "password2": new}, follow=True)
    assert (done.status_code, done.request["PATH_INFO"]) == (200, "/accounts/password/reset/key/done/")
    assert (attempt(client, user.email).status_code, signed_in(client)) == (200, False)
    assert "no longer works" in text(Client().get(link[1], follow=True))
    assert attempt(client, user.email, new)["Location"] == "/"


@pytest.mark.parametrize("name", ["account_signup", "account_email", "account_request_login_code"])
def test_doors_that_are_not_there(client: Client, name: str) -> None:
    with pytest.raises(NoReverseMatch):
        reverse(name)
    assert client.post("/accounts/signup/", {"email": "x@x.example", "password1": PASSWORD}).status_code == 404


@pytest.mark.parametrize("path", ["2fa/", "2fa/totp/activate/", "2fa/recovery-codes/", "password/", "reauthenticate/"])
def test_strangers_are_sent_to_the_door(client: Client, db: None, path: str) -> None:
    response = client.get(f"/accounts/{path}")
    assert (response.status_code, response["Location"].split("?")[0]) == (302, "/accounts/login/")


def test_recovery_codes_are_made_anew_and_saved_as_a_file(user: User, client: Client) -> None:
    _secret, codes = set_up(client, user)
    saved = client.get("/accounts/2fa/recovery-codes/download/")
    assert (saved.status_code, saved["Content-Type"].partition(";")[0]) == (200, "text/plain")
    assert "attachment" in saved["Content-Disposition"]
    assert text(saved).split() == codes
    assert client.get("/accounts/2fa/recovery-codes/generate/").status_code == 200
    assert client.post("/accounts/2fa/recovery-codes/generate/")["Location"] == "/accounts/2fa/recovery-codes/"
    fresh = re.findall(r"<code>(\d{8})</code>", text(client.get("/accounts/2fa/recovery-codes/")))
    assert len(fresh) == 10
    assert not set(fresh) & set(codes)
    again = Client(REMOTE_ADDR=next(_ADDRESSES))
    attempt(again, user.email)
    assert "code" in text(again.get("/accounts/2fa/authenticate/"))
    again.post("/accounts/2fa/authenticate/", {"code": codes[0]})
    assert not signed_in(again)
    assert again.post("/accounts/2fa/authenticate/", {"code": fresh[0]})["Location"] == "/"


def test_the_second_step_can_answer_who_it_is(user: User, client: Client) -> None:
    _secret, codes = set_up(client, user)
    assert client.get("/accounts/2fa/totp/deactivate/").status_code == 200
    assert "still you" in text(client.get("/accounts/2fa/reauthenticate/?next=/accounts/2fa/"))
    wrong = client.post("/accounts/2fa/reauthenticate/?next=/accounts/2fa/", {"code": "000000"})
    assert wrong.status_code == 200
    right = client.post("/accounts/2fa/reauthenticate/?next=/accounts/2fa/", {"code": codes[0]})
    assert right["Location"] == "/accounts/2fa/"


def test_who_has_a_password_changes_it_and_who_has_none_sets_one(user: User, client: Client) -> None:
    client.force_login(user)
    assert client.get("/accounts/password/set/")["Location"] == "/accounts/password/"
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    assert client.get("/accounts/password/set/").status_code == 200
    short = client.post("/accounts/password/set/", {"password1": "abc", "password2": "abc"})
    assert short.status_code == 200
    user.refresh_from_db()
    assert not user.has_usable_password()
    new = "another long battery"
    assert client.post("/accounts/password/set/", {"password1": new, "password2": new}).status_code == 302
    user.refresh_from_db()
    assert user.check_password(new)
