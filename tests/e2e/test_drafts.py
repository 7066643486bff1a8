"""Drafts of the composer: kept on the device per ticket and kind, through reloads, until they were really sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Site

pytestmark = pytest.mark.slow


def test_a_draft_lives_until_it_is_sent(site: Site, chromium: Any) -> None:
    page = site.sign_in(chromium, "agent")
    addresses = []
    for title in ("First with a draft", "Second without"):
        page.goto(f"{site.address}/t/acme/incidents/new/")
        page.locator("#id_title").fill(title)
        page.locator("main form button.primary").click()
        page.wait_for_url("**/incidents/INC*/")
        addresses.append(page.url)
    first, second = addresses
    body, send = page.locator("textarea[name=body]"), page.locator("form[action$='/comment/'] button")
    note, reply = page.locator("input[value=internal]"), page.locator("input[value=public]")

    page.goto(first)
    body.fill("We are looking into it")
    page.goto(second)
    assert body.input_value() == ""
    page.goto(first)
    assert body.input_value() == "We are looking into it"

    # A reply may become a note, a note never a reply; two texts stay apart.
    note.check()
    assert body.input_value() == "We are looking into it"
    page.reload()
    assert note.is_checked()
    assert body.input_value() == "We are looking into it"
    body.fill("A secret")
    reply.check()
    assert body.input_value() == ""
    body.fill("A reply")
    note.check()
    assert body.input_value() == "A secret"
    reply.check()
    assert body.input_value() == "A reply"

    # A Send that never arrived loses nothing; one that did clears its kind only.
    page.context.set_offline(True)
    send.click()
    page.wait_for_timeout(300)
    page.context.set_offline(False)
    page.goto(first)
    assert body.input_value() == "A reply"
    send.click()
    page.locator(".note.success").wait_for()
    assert "A reply" in page.locator(".timeline").inner_text()
    assert "A secret" not in page.locator(".timeline").inner_text()
    assert note.is_checked()
    assert body.input_value() == "A secret"
    send.click()
    page.locator(".note.success").wait_for()
    page.reload()
    assert body.input_value() == ""
    assert reply.is_checked()
    assert site.violations == []


def test_another_person_at_the_device_does_not_see_it(site: Site, chromium: Any) -> None:
    page = site.sign_in(chromium, "agent")
    page.goto(f"{site.address}/t/acme/incidents/new/")
    page.locator("#id_title").fill("A shared device")
    page.locator("main form button.primary").click()
    page.wait_for_url("**/incidents/INC*/")
    address = page.url
    page.locator("textarea[name=body]").fill("Mine alone")
    page.context.clear_cookies()
    page.goto(address)
    page.locator("input[name=login]").fill("manager@acme.example")
    page.locator("input[name=password]").fill("correct horse battery")
    page.locator("main button").click()
    page.wait_for_url(address)
    assert page.locator("textarea[name=body]").input_value() == ""
