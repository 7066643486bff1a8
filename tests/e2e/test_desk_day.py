"""A day at the desk, in a browser: log, find, take, answer, hold, resolve; without JavaScript as well."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.e2e.conftest import Site

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_log_find_work_and_resolve(site: Site, chromium: Any, scripts: bool) -> None:
    agent = site.sign_in(chromium, "agent", java_script_enabled=scripts)
    caller = site.sign_in(chromium, "requester", java_script_enabled=scripts)
    caller.get_by_role("link", name="New incident").first.click()
    caller.get_by_label("What is wrong?").fill("Cannot print on the second floor")
    caller.get_by_label("Details").fill("Since **nine**\n\n<script>alert(1)</script>")
    caller.get_by_label("Impact").select_option("2")
    logged = time.monotonic()
    caller.get_by_role("button", name="Log incident").click()
    assert caller.get_by_role("heading", level=1).inner_text() == "Cannot print on the second floor"

    agent.reload()
    row = agent.get_by_role("link", name="Cannot print on the second floor")
    row.wait_for()
    assert time.monotonic() - logged < 5
    row.click()
    agent.get_by_role("button", name="Take").click()
    assert "In Progress" in agent.locator(".ticket-head").inner_text()
    agent.get_by_label("Message", exact=True).fill("I am on my way.")
    agent.get_by_role("button", name="Send").click()
    agent.get_by_label("Internal note: the desk only").check()
    agent.get_by_label("Message", exact=True).fill("Third time this week")
    agent.get_by_role("button", name="Send").click()
    agent.locator("summary", has_text="Resolve").click()
    form = agent.locator("form[action$='/resolve/']")
    form.get_by_label("Resolution code").select_option("solution_provided")
    form.get_by_label("Resolution notes").fill("New toner")
    form.get_by_role("button", name="Resolve").click()
    assert "Resolved" in agent.locator(".ticket-head").inner_text()
    assert "It is resolved." in agent.get_by_role("status").inner_text()

    caller.reload()
    story = caller.locator(".timeline").inner_text()
    assert "I am on my way." in story
    assert "New toner" in story
    assert "Third time" not in story
    caller.get_by_role("button", name="Close").click()
    assert "Closed" in caller.locator(".ticket-head").inner_text()
    assert site.complaints == []


def test_two_agents_collide_and_nothing_is_lost(site: Site, chromium: Any) -> None:
    caller = site.sign_in(chromium, "requester")
    caller.goto(f"{site.address}/t/acme/incidents/new/")
    caller.get_by_label("What is wrong?").fill("Door jams")
    caller.get_by_role("button", name="Log incident").click()
    address = caller.url
    first, second = site.sign_in(chromium, "agent"), site.sign_in(chromium, "manager")
    for page in (first, second):
        page.goto(address)
    first.get_by_role("button", name="Take").click()
    second.locator("summary", has_text="Cancel incident").click()
    second.locator("form[action$='/cancel/']").get_by_label("Reason").fill("A long and careful reason")
    second.locator("form[action$='/cancel/']").get_by_role("button").click()
    alert = second.get_by_role("alert").first.inner_text()
    assert "This changed while you were writing" in alert
    assert "agent of acme started work" in alert
    again = second.locator("form[action$='/cancel/']")
    assert again.get_by_label("Reason").input_value() == "A long and careful reason"
    again.get_by_role("button").click()
    assert "Canceled" in second.locator(".ticket-head").inner_text()


@pytest.mark.parametrize("look", ["light", "dark", "narrow", "right to left"])
def test_pages_hold_in_every_look(site: Site, chromium: Any, look: str) -> None:
    options: dict[str, Any] = {
        "light": {},
        "dark": {"color_scheme": "dark"},
        "narrow": {"viewport": {"width": 390, "height": 844}},
        "right to left": {"locale": "en-US"},
    }[look]
    page = site.sign_in(chromium, "agent", **options)
    base = f"{site.address}/t/acme"
    page.goto(f"{base}/incidents/new/")
    page.get_by_label("What is wrong?").fill("Averylongwordwithoutanyblank" * 6)
    page.get_by_role("button", name="Log incident").click()
    incident = page.url
    if look == "right to left":
        page.goto(f"{base}/profile/")
        page.get_by_label("Language").select_option("ar")
        page.locator("main button").click()
    for address in (f"{base}/queue/", incident, f"{base}/incidents/mine/", f"{base}/profile/", f"{base}/tokens/"):
        page.goto(address)
        facts = page.evaluate(
            """() => ({
                wide: document.documentElement.scrollWidth - window.innerWidth,
                dir: document.documentElement.dir,
                h1: document.querySelectorAll('h1').length,
                main: document.querySelectorAll('main').length,
                unnamed: [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
                    .filter(e => !e.labels.length).map(e => e.outerHTML),
                ids: [...document.querySelectorAll('[id]')].map(e => e.id).filter((id, n, all) => all.indexOf(id) !== n),
                small: [...document.querySelectorAll('button, .button, summary, nav a, input, select')]
                    .filter(e => e.getClientRects().length && e.type !== 'hidden' && e.type !== 'radio' && e.type !== 'checkbox')
                    .filter(e => e.getBoundingClientRect().height < 24).map(e => e.outerHTML),
            })"""
        )
        direction = "rtl" if look == "right to left" else "ltr"
        expected = {"dir": direction, "h1": 1, "main": 1, "unnamed": [], "ids": [], "small": []}
        assert facts.pop("wide") <= 0, address
        assert (address, facts) == (address, expected)
    page.keyboard.press("Tab")
    assert re.search(r"skip", page.evaluate("() => document.activeElement.className"))
    assert site.complaints == []
