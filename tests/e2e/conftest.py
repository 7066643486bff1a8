"""A real server process and a real browser, for tests that only both together can answer."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test.utils import override_settings

from tests.committed import CommittedDatabase, committed_database
from tests.factories import Desk, make_desk
from tests.oncall.schedules import fill, make_schedule, rules

PASSWORD = "correct horse battery"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_WATCH = """document.addEventListener('securitypolicyviolation', e =>
    window.reportViolation(`${e.documentURI}: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`))"""


@dataclass
class Site:
    """A running server with one desk in it. ``complaints`` fills with what browsers logged as errors.

    ``violations`` fills with what the content security policy stopped. The tests of a module share the site, so each
    makes tickets with titles of its own.
    """

    address: str
    desk: Desk
    complaints: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def open(self, browser: Any, **options: Any) -> Any:
        """An empty page of a fresh browser context, watched for errors and for breaches of the policy."""
        context = browser.new_context(**options)
        context.expose_binding("reportViolation", lambda source, what: self.violations.append(what))
        context.add_init_script(_WATCH)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda m: self.complaints.append(f"{page.url}: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        return page

    def sign_in(self, browser: Any, who: str, **options: Any) -> Any:
        """A page of a fresh browser context in which this person has signed in through the form, in any language."""
        page = self.open(browser, **options)
        page.goto(f"{self.address}/")
        page.locator("input[name=login]").fill(f"{who}@acme.example")
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("main button").click()
        page.wait_for_url("**/t/acme/**")
        return page


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def database(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CommittedDatabase]:
    """What ``committed_db`` is, for all tests of a module: a server and its people are dear to make."""
    with django_db_blocker.unblock(), committed_database(tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture(scope="module")
def site(database: CommittedDatabase) -> Iterator[Site]:
    """The product as ``make run`` serves it, on this module's database."""
    # The server knows production's hash, not the quick one of the test settings.
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"]):
        desk = make_desk("acme")
    fill(desk, "Network")
    make_schedule(desk, "Nights", layers=[rules(desk, "agent", restrictions={"mon": [["22:00", "06:00"]]})])
    port = _free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "config.wsgi:application"]
    server = subprocess.Popen(command, env=database.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}/healthz/live", server)
        yield Site(f"http://127.0.0.1:{port}", desk)
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        assert server.poll() is None, f"the server ended with {server.returncode}"
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail("the server did not answer within 60 s")


@pytest.fixture(scope="module")
def chromium(site: Site) -> Iterator[Any]:
    """A headless Chromium; the test is skipped where there is none.

    Started after the site and ended before it: while Playwright runs, Django refuses the database to this thread.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        # CI brings a browser: there, a test that silently does not run would be a hole.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"no browser: none of {', '.join(_BROWSERS)} is installed"
        )
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()
