"""A long story on the page: the newest part first, all of it on demand, and nothing of it twice."""

from __future__ import annotations

import re

import pytest

from incidents.web import page
from itsm.tickets.commands import comment_on_ticket
from tests.factories import Desk
from tests.web.conftest import Browser


def test_the_page_begins_with_the_newest_part(acme: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "ENTRIES", 3)
    ticket = acme.incident()
    address = f"{acme.prefix}/incidents/{ticket.number}/"
    for number in range(4):
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body=f"word{number}")

    def words(query: str = "") -> list[str]:
        return re.findall(r"word\d", browser("agent").get(address + query).content.decode())

    assert words() == ["word1", "word2", "word3"]
    assert words("?story=whole") == ["word0", "word1", "word2", "word3"]
    text = browser("agent").get(address).content.decode()
    assert f'href="{address}?story=whole#story"' in text
    assert "story=whole" not in browser("agent").get(address + "?story=whole").content.decode()
