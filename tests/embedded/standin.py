"""A stand-in for Viable's processes, to supervise something that starts in milliseconds.

    standin.py run STATE PORT [FAULT]     the supervisor with stand-in children
    standin.py web|worker|beat|sweeper|migrate|seed …   the children themselves

Each child notes in STATE/order.txt when it was asked to stop, and the worker keeps a child of its own, as Celery
and granian do.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

ME = str(Path(__file__).resolve())
CHECKOUT = Path(ME).parents[2]
sys.path.insert(0, str(CHECKOUT))


def note(text: str) -> None:
    """Append a line to the common order of events."""
    with (Path(os.environ["VIABLE_STATE"]) / "order.txt").open("a") as file:
        file.write(f"{text}\n")


def leave(number: int, frame: FrameType | None) -> None:
    """End as an orderly child does."""
    note(f"{sys.argv[1]} stops")
    raise SystemExit(0)


class Answer(http.server.BaseHTTPRequestHandler):
    """Says who serves, and which variables it was given."""

    def do_GET(self) -> None:
        """Answer every path alike."""
        names = [name for name in os.environ if name.startswith(("DATABASE", "REDIS", "VIABLE", "SECRET"))]
        body = json.dumps({"uid": os.geteuid(), "env": {name: os.environ[name] for name in names}}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


def child(name: str, arguments: list[str]) -> None:
    """Be one of the children."""
    if name == "migrate":
        print("migrating nothing")  # noqa: T201
        return
    if name == "seed":
        address = os.environ["VIABLE_ADDRESS"]
        tenant = {
            "slug": "acme",
            "api": f"{address}/acme/api/v1",
            "users": {"agent": {"login": "agent@acme.example", "password": "demo-pw"}},
            "tokens": {"agent": "tok"},
        }
        path = Path(os.environ["VIABLE_STATE"]) / "demo.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps({"address": address, "tenants": [tenant]}))
        return
    if name == "broken" or (name == "web" and (Path(os.environ["VIABLE_STATE"]) / "break").exists()):
        print("ERROR cannot import the thing")  # noqa: T201
        raise SystemExit(7)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, leave)
    note(f"{name} starts")
    if name == "web":
        http.server.ThreadingHTTPServer.allow_reuse_address = True
        http.server.ThreadingHTTPServer(("127.0.0.1", int(arguments[0])), Answer).serve_forever()
    if name == "worker":
        subprocess.Popen([sys.executable, ME, "pool"])
        print("WARNING worker is up")  # noqa: T201
    while True:
        time.sleep(60)


def supervise(state: str, port: str, fault: str = "") -> int:
    """Run the supervisor as `python -m config.embedded run` does, with stand-in children."""
    from config.embedded.console import Console
    from config.embedded.errors import Refusal
    from config.embedded.run import Application, run
    from config.embedded.state import StateFolder

    python = [sys.executable, ME]
    application = Application(
        checkout=CHECKOUT,
        migrate=[*python, "migrate"],
        seed=[*python, "seed"],
        web=[*python, "broken" if fault == "web" else "web", port],
        worker=[*python, "worker"],
        beat=[*python, "beat"],
        sweeper=[*python, "sweeper"],
    )
    console = Console()
    try:
        return run(StateFolder(Path(state)), port, console, application=application)
    except Refusal as refusal:
        console.say(f"viable: {refusal}", always=True)
        return refusal.exit_code


if __name__ == "__main__":
    if sys.argv[1] == "run":
        sys.exit(supervise(*sys.argv[2:]))
    child(sys.argv[1], sys.argv[2:])
