"""Bounded fuzzing of the API from its committed OpenAPI document, in process, with all checks of schemathesis.

What is listed in EXPECTED is a refusal that the document cannot express beforehand: that a reference exists, that a
version is the current one, that a state allows a verb, that a person may.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from werkzeug.serving import WSGIRequestHandler, make_server

from itsm.tickets.models import Ticket
from tests.api.caller import Caller
from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk
from tests.snapshot import changes, snapshot

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "openapi.yaml"
#: Seconds for one run; there are eight, one for each of WHO. More finds more: VIABLE_FUZZ_SECONDS=600 for a long night.
SECONDS = int(os.environ.get("VIABLE_FUZZ_SECONDS", "30"))

#: Edges of every operation first, then random requests, then chains in which one answer feeds the next request.
PHASES = {"coverage": 0.5, "fuzzing": 0.3, "stateful": 0.2}

#: Who calls: a person of each role by a token with all scopes, and integrations, whose tokens have one or two.
WHO: dict[str, tuple[str, ...]] = {
    "requester": (),
    "agent": (),
    "manager": (),
    "owner": (),
    "admin": (),
    "auditor": (),
    "reading": ("incidents:read", "events:read"),
    "writing": ("incidents:write",),
}

#: Words that stand in the other tenant only.
SECRET = "Zugzwang"

#: Requests that a run must have sent, and seconds for the second try of one that has not.
ENOUGH, PATIENCE = 100, 160

EXPECTED = {
    # A well-formed request may be refused: 400 unknown reference or cursor, empty text; 401/403 rights; 404 nothing
    # visible; 409 state; 412 version; 422 key reused.
    "positive_data_acceptance": ["2xx", "400", "401", "403", "404", "409", "412", "422"],
    # A malformed request may be refused for something that is looked at earlier.
    "negative_data_rejection": ["400", "401", "403", "404", "405", "409", "412", "413", "415", "422", "428"],
    # Rights and visibility are looked at before If-Match, which has a status of its own.
    "missing_required_header": ["400", "401", "403", "404", "409", "422", "428"],
}


def config(phase: str, seconds: int) -> SchemathesisConfig:
    """All checks; small numbers of examples, so that every operation gets its turn within the time."""
    return SchemathesisConfig.from_dict(
        {
            "seed": 20260301,
            "max-time": seconds,
            "workers": 1,
            "continue-on-failure": True,
            "generation": {"max-examples": 6, "database": "none"},
            "phases": {
                "examples": {"enabled": False},
                "coverage": {"enabled": phase == "coverage", "unexpected-methods": ["TRACE", "PUT"]},
                "fuzzing": {"enabled": phase == "fuzzing"},
                "stateful": {"enabled": phase == "stateful"},
            },
            "checks": {name: {"expected-statuses": statuses} for name, statuses in EXPECTED.items()},
        }
    )


def sign_in(schema: Any, caller: Caller) -> None:
    """Every request carries the token, but for those that are meant to lack it."""

    @schema.auth()
    class Token:
        def get(self, case: Any, context: Any) -> str:
            return caller.headers["Authorization"]

        def set(self, case: Any, data: str, context: Any) -> None:
            case.headers["Authorization"] = data


class Silent(WSGIRequestHandler):
    """No line on the console for every request."""

    def log(self, *args: Any, **kwargs: Any) -> None:
        pass


@contextmanager
def aimed(desk: Desk, foreign: list[str]) -> Iterator[None]:
    """Let most requests about a ticket hit a real one at its current version, else all would end in a 404; and some hit
    one of another tenant, which must do just that.
    """
    turns = itertools.count()

    @schemathesis.hook
    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        if case.headers and case.headers.get("Idempotency-Key") and next(turns) % 4:
            # Small examples repeat: without this nearly every POST would be refused for a used key.
            case.headers["Idempotency-Key"] = str(uuid4())
        if "incidents/{key}" not in case.path or next(turns) % 3 == 0 or case.meta is None:
            return
        with desk.inside():
            ticket = Ticket.objects.order_by("?").only("pk", "number", "version").first()
        if ticket is None:
            return
        turn = next(turns)
        case.path_parameters["key"] = foreign[turn % len(foreign)] if turn % 7 == 0 else str(ticket.pk)
        if case.headers and "If-Match" in case.headers:
            case.headers["If-Match"] = f'"{ticket.version}"'

    try:
        yield
    finally:
        schemathesis.hooks.unregister_all()


@pytest.mark.slow
@pytest.mark.parametrize("who", list(WHO))
def test_the_api_keeps_what_its_document_promises(committed_db: CommittedDatabase, who: str) -> None:
    walk_through(committed_db, who, SECONDS, ENOUGH, PHASES)


def test_a_short_walk_through_the_api(committed_db: CommittedDatabase) -> None:
    """What an ordinary test run can afford: chains of requests for a few seconds, by whoever may do most."""
    walk_through(committed_db, "agent", 6, 5, {"stateful": 1.0})


def walk_through(committed_db: CommittedDatabase, who: str, limit: int, enough: int, phases: dict[str, float]) -> None:
    """Call the API as ``who`` for ``limit`` seconds; fail over a broken promise and over anything of another's."""
    desk, other = make_desk("acme"), make_desk("globex")
    theirs = [other.incident("requester", title=SECRET, description=SECRET) for _ in range(3)]
    for _ in range(3):
        desk.incident("requester")
    caller = Caller(desk, who if who in desk.people else "agent", *WHO[who], prefix=False)
    before = snapshot(other)
    # A socket and not schemathesis' own WSGI transport: that one breaks on requests of the engine's ("max_redirects").
    server = make_server("127.0.0.1", 0, WSGIHandler(), request_handler=Silent)
    committed_db.thread(server.serve_forever)
    failures: dict[str, list[str]] = {}
    operations: set[str | None] = set()
    requests = 0
    try:
        # A machine that does other work too gets a second, longer try: fewer requests than this would prove nothing.
        for seconds in (limit, PATIENCE):
            for phase, share in phases.items():
                schema = schemathesis.openapi.from_path(DOCUMENT, config=config(phase, max(1, int(seconds * share))))
                schema.config.update(base_url=f"http://127.0.0.1:{server.server_port}")
                sign_in(schema, caller)
                more, called, sent = run(schema, desk, [str(ticket.pk) for ticket in theirs])
                print(f"{who}, {phase}: {sent} requests to {len(called)} operations")  # noqa: T201
                failures.update(more)
                operations |= called
                requests += sent
            if requests > enough:
                break
    finally:
        server.shutdown()
        committed_db.join()
        server.server_close()
    summary = "\n\n".join(f"{name} ({len(found)})\n{found[0]}" for name, found in failures.items())
    assert not failures, f"\n{summary}"
    assert changes(before, snapshot(other)) == []
    assert requests > enough, "too slow to mean anything"


def run(schema: Any, desk: Desk, foreign: list[str]) -> tuple[dict[str, list[str]], set[str | None], int]:
    """What failed, by check and operation; which operations were called; how many requests that took."""
    failures: dict[str, list[str]] = {}
    operations: set[str | None] = set()
    requests = 0
    with aimed(desk, foreign), override_settings(API_RATE_LIMITS={"token": (10**9, 60), "tenant": (10**9, 60)}):
        for event in from_schema(schema).execute():
            if isinstance(event, events.NonFatalError):
                failures.setdefault(f"error in {event.label}", []).append(str(event.info))
            if not isinstance(event, events.ScenarioFinished):
                continue
            if event.recorder.interactions:
                operations.add(event.label)
                requests += len(event.recorder.interactions)
            for interaction in event.recorder.interactions.values():
                asked, said = interaction.request, interaction.response
                if said is not None and (
                    SECRET.encode() in said.content
                    or (said.status_code < 400 and any(one in asked.uri for one in foreign))
                ):
                    failures.setdefault(f"another tenant's: {event.label}", []).append(
                        f"{asked.method} {asked.uri}: {said.status_code} {said.content[:300]!r}"
                    )
            for case_id, checks in event.recorder.checks.items():
                for check in checks:
                    if check.failure_info is not None:
                        interaction = event.recorder.interactions.get(case_id)
                        failures.setdefault(f"{check.name}: {event.label}", []).append(
                            f"{check.failure_info.failure}\n{check.failure_info.code_sample}\n"
                            f"{interaction.response.content[:600] if interaction and interaction.response else ''}"
                        )
    return failures, operations, requests
