"""Odd text is text: it comes back as it went in, stands inert on every page, and names no file and no other place."""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser
from urllib.parse import quote, urlsplit

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils.html import escape

from tests.api.caller import Caller
from tests.factories import Desk
from tests.hostile import values
from tests.hostile.pages import part
from tests.hostile.test_forms import PASSWORD, address
from tests.snapshot import changes, snapshot

#: What a title, which is one line, does not take.
LINES = {"line separators"}


class Handlers(HTMLParser):
    """Attributes of a page that would run something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [name for name, _ in attrs if name.startswith("on")]


@pytest.mark.parametrize("what", list(values.TEXTS))
def test_it_comes_back_as_it_went_in(acme: Desk, what: str) -> None:
    # Composed: the same letter is stored in one way, however it was typed.
    api, text = Caller(acme, "agent"), unicodedata.normalize("NFC", values.TEXTS[what])
    title = "One line" if what in LINES else text
    made = api.post("incidents/", {"title": title, "description": values.TEXTS[what]})
    assert made.status_code == 201, made.content
    body, here = made.json(), f"incidents/{made.json()['number']}/"
    assert (body["title"], body["description"]) == (title, text)
    assert api.post(f"{here}comments/", {"body": text}).json()["body"] == text
    assert [row["body"] for row in api.get(f"{here}comments/").json()["results"]] == [text]
    done = api.post(f"{here}resolve/", {"close_code": "known_error", "close_notes": text}, If_Match="*")
    assert done.json()["close_notes"] == text
    assert api.get(f"incidents/?q={quote(text[:100])}").status_code == 200
    browser = Client(raise_request_exception=False)
    browser.force_login(acme.users["agent"])
    for page in (here, "queue/?view=all", f"queue/?view=all&q={quote(text[:100])}", "incidents/mine/"):
        shown = browser.get(f"/t/acme/{page}")
        assert shown.status_code == 200, page
        said = shown.content.decode()
        assert "<script>alert" not in said
        assert not Handlers(said).found
        if title != "One line" and page in {here, "queue/?view=all"}:
            assert escape(title) in said


def test_a_title_is_one_line(acme: Desk) -> None:
    api = Caller(acme, "agent")
    before = snapshot(acme)
    for what in LINES:
        refused = api.post("incidents/", {"title": values.TEXTS[what]})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/title")
    assert changes(before, snapshot(acme)) == []


@pytest.mark.parametrize("what", list(values.FILENAMES))
def test_a_file_is_called_as_it_may_be(acme: Desk, what: str) -> None:
    """Taken under a harmless name, or refused without a trace; never a path, a header or a page."""
    api = Caller(acme, "agent")
    here = f"incidents/{acme.incident().number}/attachments/"
    before = snapshot(acme)
    body = part("file", b"text", values.FILENAMES[what]) + b"--b--\r\n"
    made = api.post(here, body, content_type="multipart/form-data; boundary=b")
    if made.status_code != 201:
        assert made.status_code == 400, made.content
        # A name as long as this makes the whole parcel unreadable.
        assert what == "long" or made.json()["errors"][0]["pointer"] == "/file"
        assert changes(before, snapshot(acme)) == []
        return
    name = made.json()["name"]
    assert name.strip(". ")
    assert len(name) <= 255
    assert not set(name) & set("/\\\r\n\x00")
    load = api.get(f"{here}{made.json()['id']}/content/")
    assert b"".join(load.streaming_content) == b"text"
    assert load["Content-Disposition"].startswith("attachment; filename")
    assert load["Content-Type"] == "application/octet-stream"
    assert "\n" not in str(load.headers["Content-Disposition"])
    assert "Set-Cookie" not in load.headers


@pytest.mark.parametrize("number", range(len(values.NEXT)))
def test_nobody_is_sent_elsewhere(acme: Desk, number: int) -> None:
    """Whatever ``next`` says, in the address or in the form, one stays on this site."""
    cache.clear()  # Signing in is counted per account, over all of these.
    target = quote(values.NEXT[number].encode("utf-8", "surrogatepass"), safe="")
    form = f"login={quote(acme.users['agent'].email)}&password={quote(PASSWORD)}&next={target}"
    for path in (f"/accounts/login/?next={target}", f"/accounts/logout/?next={target}", "/accounts/login/"):
        client = Client(raise_request_exception=False)
        answer = client.generic("POST", path, form.encode(), "application/x-www-form-urlencoded", REMOTE_ADDR=address())
        assert answer.status_code in {200, 302, 400}, (path, answer.status_code)
        if answer.status_code == 302:
            place = answer["Location"]
            assert urlsplit(place).scheme == "", place
            assert not place.startswith(("//", "/\\")), place
            assert urlsplit(place).netloc == ""
            assert not set(place) & set("\r\n\t")
