"""The page of the API's document in a real browser: it shows the operations and breaks no rule of the CSP."""

from __future__ import annotations

import shutil

import pytest
from django.core.handlers.wsgi import WSGIHandler
from playwright.sync_api import sync_playwright
from werkzeug.serving import make_server

from tests.api.test_schemathesis import Silent
from tests.committed import CommittedDatabase

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_the_page_shows_the_operations_offline(committed_db: CommittedDatabase) -> None:
    server = make_server("127.0.0.1", 0, WSGIHandler(), request_handler=Silent, threaded=True)
    committed_db.thread(server.serve_forever)
    complaints: list[str] = []
    elsewhere: list[str] = []
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
            page = browser.new_page()
            page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
            page.on("request", lambda r: None if r.url.startswith((address, "data:")) else elsewhere.append(r.url))
            page.goto(f"{address}/api/v1/docs/")
            page.wait_for_selector(".opblock", timeout=20_000)
            shown = page.locator(".opblock").count()
            browser.close()
    finally:
        server.shutdown()
        committed_db.join()
        server.server_close()
    assert complaints == []
    assert elsewhere == []
    assert shown >= 40
