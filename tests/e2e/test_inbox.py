"""The bell, the inbox and what is configured of them in a real browser, in every look."""

from __future__ import annotations

import os
from typing import Any

import pytest

from itsm.events.relay import relay
from itsm.tickets.commands import comment_on_ticket
from tests.committed import CommittedDatabase
from tests.e2e.conftest import Site
from tests.e2e.test_looks import LOOKS, looked_at

pytestmark = pytest.mark.slow


def story(site: Site, database: CommittedDatabase, look: str) -> str:
    """A ticket with two replies that its requester was told of. In a thread, because the browser has this one's loop."""
    made: list[str] = []

    def make() -> None:
        ticket = site.desk.incident(title=f"{look}: " + "Averylongwordwithoutanyblank" * 6)
        for word in ("One", "Two"):
            comment_on_ticket(actor=site.desk.actor("agent"), ticket_id=ticket.pk, body=word)
        relay(site.desk.tenant.pk)
        made.append(ticket.number)

    database.thread(make)
    database.join()
    return made[0]


@pytest.mark.parametrize("look", LOOKS)
def test_bell_inbox_and_configuration_hold(site: Site, database: CommittedDatabase, chromium: Any, look: str) -> None:
    number = story(site, database, look)
    page = site.sign_in(chromium, "requester", **LOOKS[look])
    base = f"{site.address}/t/acme"
    unread = int(page.locator(".bell .unread").inner_text())
    assert unread >= 2
    page.locator(".bell").click()
    page.wait_for_url("**/inbox/")
    found = looked_at(page, look)
    # By keys: down the list, and into the ticket.
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/incidents/{number}/")
    assert page.locator(".bell .unread").inner_text() == str(unread - 1)
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
    admin.locator("input[name=ticket]").fill(number)
    admin.locator("main form button.primary").click()
    admin.locator(".letter").wait_for()
    assert "Two" in admin.locator(".letter").inner_text()
    found += looked_at(admin, look)
    assert found == [], "\n".join(found)
    assert site.violations == []
    if folder := os.environ.get("PICTURES"):
        page.goto(f"{base}/profile/notifications/")
        page.screenshot(path=f"{folder}/preferences-{look}.png", full_page=True)
        story(site, database, look)
        page.goto(f"{base}/inbox/")
        page.screenshot(path=f"{folder}/inbox-{look}.png")
        admin.screenshot(path=f"{folder}/preview-{look}.png", full_page=True)
