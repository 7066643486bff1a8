"""The bell, the inbox and what is configured of them in a real browser, in every look."""

from __future__ import annotations

import os
from typing import Any

import pytest

from itsm.events.relay import relay
from itsm.tickets.commands import comment_on_ticket
from tests.e2e.conftest import Site
from tests.e2e.test_looks import LOOKS, looked_at

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("look", LOOKS)
def test_bell_inbox_and_configuration_hold(site: Site, chromium: Any, look: str) -> None:
    ticket = site.desk.incident(title=f"{look}: " + "Averylongwordwithoutanyblank" * 6)
    for word in ("One", "Two"):
        comment_on_ticket(actor=site.desk.actor("agent"), ticket_id=ticket.pk, body=word)
    relay(site.desk.tenant.pk)
    page = site.sign_in(chromium, "requester", **LOOKS[look])
    base = f"{site.address}/t/acme"
    assert page.locator(".bell .unread").inner_text() == "2"
    page.locator(".bell").click()
    page.wait_for_url("**/inbox/")
    found = looked_at(page, look)
    # By keys: down the list, and into the ticket.
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/incidents/{ticket.number}/")
    assert page.locator(".bell .unread").inner_text() == "1"
    page.goto(f"{base}/inbox/")
    page.locator("form[action$='/inbox/read/'] button").click()
    page.locator(".bell .unread").wait_for(state="detached")
    found += looked_at(page, look)
    page.goto(f"{base}/profile/notifications/")
    found += looked_at(page, look)
    admin = site.sign_in(chromium, "admin", **LOOKS[look])
    admin.goto(f"{base}/notification-defaults/")
    found += looked_at(admin, look)
    admin.goto(f"{base}/message-preview/?key=reply&language=en")
    admin.locator("input[name=ticket]").fill(ticket.number)
    admin.locator("main form button.primary").click()
    admin.locator(".letter").wait_for()
    assert "Two" in admin.locator(".letter").inner_text()
    found += looked_at(admin, look)
    assert found == [], "\n".join(found)
    assert site.violations == []
    if folder := os.environ.get("PICTURES"):
        page.goto(f"{base}/profile/notifications/")
        page.screenshot(path=f"{folder}/preferences-{look}.png", full_page=True)
        comment_on_ticket(actor=site.desk.actor("agent"), ticket_id=ticket.pk, body="Three")
        relay(site.desk.tenant.pk)
        page.goto(f"{base}/inbox/")
        page.screenshot(path=f"{folder}/inbox-{look}.png")
        admin.screenshot(path=f"{folder}/preview-{look}.png", full_page=True)
