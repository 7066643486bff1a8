"""What the database does as it grows: the product's own statements for list and search, explained, by tenant and word."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import psycopg

from scripts.bench.data import Desk
from scripts.bench.vocabulary import COMMON, MID, RARE, words
from scripts.bench.watch import explained

_LIST = "/api/v1/incidents/?state_category=new,active,waiting&sort=priority&team="
_NEWEST = "/api/v1/incidents/"
_DEEP = 20
_WORDS = (
    (RARE, "rare word (1 in 1500)"),
    (MID, "middling word (1 in 130)"),
    (words()[250], "the worst (about 1 in 50)"),
    (COMMON, "common word (1 in 8)"),
    (words()[0], "word of nearly every ticket"),
)


def measure(desks: Sequence[Desk]) -> list[dict[str, Any]]:
    """Rows of the growth table: what, which tenant, milliseconds in the database, buffers."""
    found = []
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        for name, desk in (("half of all", desks[0]), ("smallest", desks[-1])):
            for what, address in _lists(desk).items():
                found.append(_row(connection, desk, what, name, address))
            for word, kind in _WORDS:
                found.append(_row(connection, desk, f"search, {kind}", name, f"{_NEWEST}?q={word}"))
    return found


def _lists(desk: Desk) -> dict[str, str]:
    first, newest = f"{_LIST}{desk.teams[0]}", _NEWEST
    return {
        "list, filtered, first page": first,
        "list, filtered, deep": _deep(desk, first),
        "list, newest, first page": newest,
        "list, newest, deep": _deep(desk, newest),
    }


def _deep(desk: Desk, address: str) -> str:
    for _ in range(_DEEP):
        following = _ask(desk, address)[0]["next"]
        if following is None:
            break
        parts = urlsplit(following)
        address = f"{parts.path}?{parts.query}"
    return address


def _ask(desk: Desk, address: str) -> tuple[Any, list[Any]]:
    """The answer, and the statements that the product sent for it."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as sent:
        answer = Client().get(address, headers={"Authorization": f"Bearer {desk.tokens[0]}"}, SERVER_NAME="127.0.0.1")
    if answer.status_code != 200:
        raise RuntimeError(f"{address} was answered {answer.status_code}: {answer.content[:300]!r}")
    return answer.json(), [query["sql"] for query in sent.captured_queries]


def _row(connection: psycopg.Connection[Any], desk: Desk, what: str, tenant: str, address: str) -> dict[str, Any]:
    """The slowest of the statements that read tickets or their words, with what it took."""
    _, sent = _ask(desk, address)
    reading = [
        sql for sql in sent if sql.lstrip().startswith("SELECT") and ("tickets_ticket" in sql or "itsm_search(" in sql)
    ]
    if not reading:
        raise RuntimeError(f"{address} read no tickets: {sent}")
    worst, buffers = 0.0, 0
    with connection.transaction():
        connection.execute("SELECT set_config('itsm.tenant', %s, true)", [str(desk.id)])
        for sql in reading:
            took, read = explained(connection, sql.replace("%", "%%"))
            if took > worst:
                worst, buffers = took, read
    return {"what": what, "tenant": tenant, "ms": round(worst, 2), "buffers": buffers}
