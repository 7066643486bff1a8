"""Queue and ticket side by side, by mouse, by keys, on a narrow screen, and without JavaScript."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Site

pytestmark = pytest.mark.slow

_MARK = "() => { document.querySelector('.rows').sameList = true; }"
_SAME = "() => document.querySelector('.rows').sameList === true"


@pytest.fixture(scope="module")
def site(site: Site) -> Site:
    """With thirty tickets: more than fit on a screen."""
    for number in range(30):
        site.desk.incident(title=f"Ticket number {number:02}", impact=1 + number // 11, urgency=2)
    return site


def start(site: Site, chromium: Any, who: str = "agent", **options: Any) -> Any:
    page = site.sign_in(chromium, who, **{"viewport": {"width": 1440, "height": 900}, **options})
    page.goto(f"{site.address}/t/acme/queue/")
    return page


def focused(page: Any) -> str:
    return str(page.evaluate("() => (document.activeElement.textContent || document.activeElement.id).trim()"))


def test_by_mouse_the_list_stays_and_the_back_button_works(site: Site, chromium: Any) -> None:
    page = start(site, chromium)
    page.evaluate(_MARK)
    rows = page.locator(".rows .title")
    for index in (20, 25):
        rows.nth(index).scroll_into_view_if_needed()
        rows.nth(index).click()
        page.locator("#pane h2", has_text=rows.nth(index).inner_text()).wait_for()
        assert rows.nth(index).get_attribute("aria-current") == "true"
        assert page.locator(".rows [aria-current]").count() == 1
    scrolled = page.evaluate("() => document.querySelector('.list').scrollTop")
    assert scrolled > 0
    second = page.url
    assert "open=INC" in second
    assert page.title().startswith(second.rsplit("=", 1)[1])
    page.go_back()
    page.locator("#pane h2", has_text=rows.nth(20).inner_text()).wait_for()
    page.wait_for_function("() => document.querySelectorAll('.rows [aria-current]').length === 1")
    assert rows.nth(20).get_attribute("aria-current") == "true"
    page.go_back()
    page.get_by_text("No ticket is open.").wait_for()
    assert "open=" not in page.url
    page.go_forward()
    page.locator("#pane h2", has_text=rows.nth(20).inner_text()).wait_for()
    assert page.evaluate(_SAME)
    assert page.evaluate("() => document.querySelector('.list').scrollTop") == scrolled
    page.goto(second)
    assert page.locator("#pane h2").inner_text() == rows.nth(25).inner_text()
    assert (site.violations, site.complaints) == ([], [])


def test_a_verb_and_a_comment_in_the_pane_and_the_row_follows(site: Site, chromium: Any) -> None:
    page = start(site, chromium)
    page.evaluate(_MARK)
    row = page.locator(".row", has_text="Ticket number 03")
    row.locator(".title").click()
    mine = page.locator(".views a", has_text="My open").locator(".count")
    before = int(mine.inner_text())
    page.locator("#pane").get_by_role("button", name="Take").click()
    page.locator(".note", has_text="It is yours now.").wait_for()
    assert "In Progress" in row.inner_text()
    assert int(mine.inner_text()) == before + 1
    body = page.locator("#pane textarea[name=body]")
    body.fill("On my way")
    page.locator("#pane").get_by_role("button", name="Send").click()
    page.locator("#pane .timeline", has_text="On my way").wait_for()
    assert body.input_value() == ""
    assert page.evaluate("() => document.getElementById('pane').contains(document.activeElement)")
    # A refusal stays beside the field, with what was typed, and nothing is lost on the way to another ticket and back.
    page.locator("#pane summary", has_text="Resolve").click()
    form = page.locator("#pane form[action*='/resolve/']")
    form.get_by_label("Resolution notes").fill("Kept words")
    form.evaluate("(one) => { one.noValidate = true; }")
    form.get_by_role("button", name="Resolve").click()
    page.locator("#pane .wrong").first.wait_for()
    assert form.get_by_label("Resolution notes").input_value() == "Kept words"
    body.fill("A draft")
    page.locator(".row", has_text="Ticket number 04").locator(".title").click()
    page.locator("#pane h2", has_text="Ticket number 04").wait_for()
    assert body.input_value() == ""
    row.locator(".title").click()
    page.locator("#pane h2", has_text="Ticket number 03").wait_for()
    assert body.input_value() == "A draft"
    assert page.evaluate(_SAME)
    assert site.violations == []
    site.complaints[:] = [one for one in site.complaints if "400" not in one]
    assert site.complaints == []


def test_by_keys(site: Site, chromium: Any) -> None:
    page = start(site, chromium)
    titles = page.locator(".rows .title").all_inner_texts()
    keys = page.keyboard
    keys.press("j")
    assert focused(page) == titles[0]
    keys.press("j")
    keys.press("j")
    keys.press("k")
    assert focused(page) == titles[1]
    keys.press("Enter")
    page.locator("#pane h2", has_text=titles[1]).wait_for()
    page.wait_for_function("() => document.activeElement.id === 'pane'")
    keys.press("j")
    assert focused(page) == titles[2]
    keys.press("Escape")
    page.get_by_text("No ticket is open.").wait_for()
    page.wait_for_function("(title) => document.activeElement.textContent.trim() === title", arg=titles[1])
    # Writing is writing.
    keys.press("/")
    assert page.evaluate("() => document.activeElement.id") == "find"
    keys.type("jk?o/")
    assert page.locator("#find").input_value() == "jk?o/"
    assert not page.locator("#keys").is_visible()
    page.locator(".rows .title").first.focus()
    keys.press("?")
    assert page.locator("#keys").is_visible()
    keys.press("j")
    assert page.evaluate("() => document.getElementById('keys').contains(document.activeElement)")
    keys.press("Escape")
    assert not page.locator("#keys").is_visible()
    assert focused(page) == titles[0]
    # With a modifier a key belongs to the browser.
    keys.press("Control+j")
    assert focused(page) == titles[0]
    keys.press("o")
    page.wait_for_url("**/incidents/INC*/")
    assert page.locator("h1").inner_text() == titles[0]
    assert (site.violations, site.complaints) == ([], [])


def test_single_keys_switched_off_do_nothing(site: Site, chromium: Any) -> None:
    page = start(site, chromium, "owner")
    page.goto(f"{site.address}/t/acme/profile/")
    page.get_by_label("Single keys do something").uncheck()
    page.get_by_role("button", name="Save").click()
    page.locator(".note", has_text="Saved.").wait_for()
    page.goto(f"{site.address}/t/acme/queue/")
    before = focused(page)
    for key in ("j", "k", "o", "/", "?"):
        page.keyboard.press(key)
        assert focused(page) == before
    assert not page.locator("#keys").is_visible()
    assert page.url.endswith("/queue/")
    # The keys of the browser, the help by its link, and Escape stay.
    page.locator(".rows .title").first.focus()
    page.keyboard.press("Enter")
    page.locator("#pane h2").first.wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("No ticket is open.").wait_for()
    page.locator(".menu summary").click()
    page.locator("[data-help]").click()
    assert "You have turned single keys off." in page.locator("#keys").inner_text()


def test_without_scripts_the_same_by_links(site: Site, chromium: Any) -> None:
    page = start(site, chromium, java_script_enabled=False)
    page.locator(".rows .title", has_text="Ticket number 07").click()
    assert page.locator("#pane h2").inner_text() == "Ticket number 07"
    page.locator("#pane").get_by_role("button", name="Take").click()
    assert page.locator("#pane h2").inner_text() == "Ticket number 07"
    assert "open=INC" in page.url
    assert "In Progress" in page.locator(".row", has_text="Ticket number 07").inner_text()
    page.get_by_role("link", name="Back to the list").click()
    assert page.get_by_text("No ticket is open.").is_visible()
    page.get_by_role("button", name="List alone").click()
    assert page.locator("#pane").count() == 0
    page.get_by_role("link", name="Changed").click()
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Changed")
    assert "Ticket number 07" in page.locator(".row").first.inner_text()
    page.get_by_role("button", name="Side by side").click()
    assert page.locator("#pane").count() == 1


def test_on_a_narrow_screen_list_and_ticket_are_two_pages(site: Site, chromium: Any) -> None:
    page = start(site, chromium, viewport={"width": 390, "height": 844})
    row = page.locator(".rows .title", has_text="Ticket number 15")
    assert not page.locator("#pane").is_visible()
    row.scroll_into_view_if_needed()
    row.click()
    page.locator("#pane h2", has_text="Ticket number 15").wait_for()
    assert not row.is_visible()
    assert page.evaluate("() => scrollY") == 0
    page.go_back()
    row.wait_for()
    assert not page.locator("#pane").is_visible()
    assert row.evaluate(
        "(one) => { const at = one.getBoundingClientRect(); return at.top >= 0 && at.bottom <= innerHeight; }"
    )


def test_whoever_was_signed_out_is_led_to_the_door(site: Site, chromium: Any) -> None:
    page = start(site, chromium)
    page.context.clear_cookies()
    page.locator(".rows .title").first.click()
    page.wait_for_url("**/accounts/login/**")
    assert page.locator("input[name=password]").count() == 1


def test_a_service_that_does_not_answer_is_said_and_nothing_typed_is_lost(site: Site, chromium: Any) -> None:
    page = start(site, chromium)
    page.locator(".rows .title").first.click()
    body = page.locator("#pane textarea[name=body]")
    body.fill("Not lost")
    page.context.set_offline(True)
    page.locator("#pane").get_by_role("button", name="Send").click()
    page.locator(".note.error", has_text="did not answer").wait_for()
    assert body.input_value() == "Not lost"
    page.context.set_offline(False)
    page.locator("#pane").get_by_role("button", name="Send").click()
    page.locator("#pane .timeline", has_text="Not lost").wait_for()
    site.complaints.clear()
