"""A day at the desk, in a browser: log, find, take, answer, hold, resolve; without JavaScript as well."""

from __future__ import annotations

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
    title = f"Cannot print on the second floor, {'scripts' if scripts else 'no scripts'}"
    caller.get_by_label("What is wrong?").fill(title)
    caller.get_by_label("Details").fill("Since **nine**\n\n<script>alert(1)</script>")
    caller.get_by_label("Impact").select_option("2")
    logged = time.monotonic()
    caller.get_by_role("button", name="Log incident").click()
    assert caller.get_by_role("heading", level=1).inner_text() == title

    agent.reload()
    row = agent.get_by_role("link", name=title)
    row.wait_for()
    assert time.monotonic() - logged < 5
    row.click()
    agent.get_by_role("button", name="Take").click()
    agent.locator(".ticket-head", has_text="In Progress").wait_for()
    agent.get_by_label("Message", exact=True).fill("I am on my way.")
    agent.get_by_role("button", name="Send").click()
    agent.locator(".timeline", has_text="I am on my way.").wait_for()
    agent.get_by_label("Internal note: the desk only").check()
    agent.get_by_label("Message", exact=True).fill("Third time this week")
    agent.get_by_role("button", name="Send").click()
    agent.locator(".timeline", has_text="Third time this week").wait_for()
    agent.locator("summary", has_text="Resolve").click()
    form = agent.locator("form[action*='/resolve/']")
    form.get_by_label("Resolution code").select_option("solution_provided")
    form.get_by_label("Resolution notes").fill("New toner")
    form.get_by_role("button", name="Resolve").click()
    agent.locator(".ticket-head", has_text="Resolved").wait_for()
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
