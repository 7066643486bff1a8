"""The yardstick: the same answers by hand, without a framework. An ASGI app on psycopg's pool and orjson.

It works as the app's role under row-level security, checks the token in the database on every request, compares versions,
and reads and writes the rows that the product does: ticket, incident, event with its chained digest, texts, outbox, number,
clocks and their events (whose deadlines are fixed spans from now: it counts no business time). What it leaves out is what a
framework and a product are for: validation beyond a few lines, policies, rate limits, logs, metrics, translations, error
bodies. It serves nobody but the benchmark.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import orjson
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from uuid_utils.compat import uuid7

from scripts.bench import statements

SQL = {
    name: statements.for_psycopg(getattr(statements, name))
    for name in (
        *(
            "ENTER",
            "TOKEN",
            "GET",
            "LOCK",
            "CHILDREN",
            "LINKS",
            "LIST",
            "SEARCH",
            "REFERENCES",
            "NUMBER",
            "BOOK",
            "CREATE",
            "CLOCKS",
            "VERB",
        ),
    )
}
_LABEL = {1: "New", 2: "In Progress", 3: "On Hold", 6: "Resolved", 7: "Closed", 8: "Canceled"}
_SPINE = ["assign", "update", "comment", "comment_internal", "attach", "watch", "link", "parent"]
_OPEN = ["resolve", "cancel", "merge", *_SPINE]
#: What an agent may do with somebody's ticket in each state.
_VERBS = {
    1: ["take", "start", "hold", *_OPEN],
    2: ["take", "hold", *_OPEN],
    3: ["take", "resume", *_OPEN],
    6: ["reopen", "close", *_SPINE],
    7: ["follow_up"],
    8: ["follow_up"],
}
_JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_SALT_BYTES = 16
#: The hold reason for which the benchmark's clocks wait, and the clocks that can (scripts/bench/clock_rows.py).
_PAUSES = "awaiting_vendor"
_OPEN_CLOCKS = ("running", "paused")
_RESPONSE, _RESOLUTION = (timedelta(hours=statements.HOURS[metric]) for metric in ("response", "resolution"))

Scope = dict[str, Any]
Answer = tuple[int, Any, list[tuple[bytes, bytes]]]

_pool: AsyncConnectionPool | None = None
#: Numbers are taken on connections of their own, or eight requests that hold one each would wait for the ninth.
_numbers: AsyncConnectionPool | None = None


class Refused(Exception):
    """Ends a request with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def _configure(connection: AsyncConnection[Any]) -> None:
    connection.prepare_threshold = 1


async def _pools() -> tuple[AsyncConnectionPool, AsyncConnectionPool]:
    global _pool, _numbers
    if _pool is None or _numbers is None:
        url = os.environ["DATABASE_URL"]
        _numbers = AsyncConnectionPool(url, min_size=1, max_size=2, open=False, configure=_configure)
        _pool = AsyncConnectionPool(url, min_size=4, max_size=4, open=False, configure=_configure)
        await _numbers.open()
        await _pool.open()
    return _pool, _numbers


async def app(scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """The ASGI application."""
    if scope["type"] != "http":
        return
    body = b""
    if scope["method"] == "POST":
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
    try:
        status, answer, headers = await _answer(scope, body)
    except Refused as refusal:
        status, answer, headers = refusal.status, {"status": refusal.status}, []
    await send({"type": "http.response.start", "status": status, "headers": [*_JSON, *headers]})
    await send({"type": "http.response.body", "body": orjson.dumps(answer, option=orjson.OPT_UTC_Z)})


async def _answer(scope: Scope, body: bytes) -> Answer:
    headers = dict(scope["headers"])
    scheme, _, secret = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not secret:
        raise Refused(401)
    digest = hashlib.sha256(secret).digest()
    parts = scope["path"].strip("/").split("/")[3:]
    pool, _ = await _pools()
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(SQL["ENTER"], {"hash": digest})
        caller = await (await connection.execute(SQL["TOKEN"], {"hash": digest})).fetchone()
        needed = "incidents:read" if scope["method"] == "GET" else "incidents:write"
        if caller is None:
            raise Refused(401)
        if needed not in caller[2] or not any(role == "agent" for role, _process, _team in caller[4]):
            raise Refused(403)
        if scope["method"] == "GET":
            return await _read(connection, caller, parts, scope)
        if not parts:
            return await _create(connection, caller, orjson.loads(body))
        return await _verb(connection, caller, UUID(parts[0]), parts[1], orjson.loads(body or b"{}"), headers)


async def _read(connection: AsyncConnection[Any], caller: Any, parts: list[str], scope: Scope) -> Answer:
    if parts:
        row = await (await connection.execute(SQL["GET"], {"ticket": UUID(parts[0])})).fetchone()
        if row is None:
            raise Refused(404)
        links = await _links(connection, [row[0]])
        return 200, _show(row, links.get(row[0], [])), [(b"etag", b'"%d"' % row[29])]
    query = parse_qs(scope["query_string"].decode())
    if "q" in query:
        found = await connection.execute(SQL["SEARCH"], {"word": query["q"][0], "person": caller[1]})
    else:
        found = await connection.execute(SQL["LIST"], {"team": UUID(query["team"][0])})
    rows = await found.fetchall()
    last = f"?cursor={rows[49][0]}" if len(rows) > 50 else None
    links = await _links(connection, [row[0] for row in rows[:50]])
    results = [_show(row, links.get(row[0], [])) for row in rows[:50]]
    return 200, {"results": results, "next": last, "previous": None}, []


async def _links(connection: AsyncConnection[Any], tickets: list[UUID]) -> dict[UUID, list[Any]]:
    """The links of some tickets by ticket. (The benchmark's have none; asking costs the same.)"""
    found: dict[UUID, list[Any]] = {}
    for link, kind, source, target in await (await connection.execute(SQL["LINKS"], {"tickets": tickets})).fetchall():
        found.setdefault(source, []).append(
            {"id": link, "kind": kind, "direction": "outward", "ticket": {"id": target}}
        )
        found.setdefault(target, []).append({"id": link, "kind": kind, "direction": "inward", "ticket": {"id": source}})
    return found


def _show(row: Any, links: list[Any]) -> dict[str, Any]:
    named = {
        name: None if row[at] is None else {"id": row[at], "name": row[at + 1]}
        for name, at in (("requester", 10), ("assignee", 12), ("team", 14), ("service", 16), ("category", 18))
    }
    return {
        "id": row[0],
        "number": row[1],
        "title": row[2],
        "description": row[3],
        "state": row[4],
        "state_label": _LABEL[row[4]],
        "state_category": row[5],
        "hold_reason": row[6],
        "impact": row[7],
        "urgency": row[8],
        "priority": row[9],
        **named,
        "channel": row[20],
        "opened_at": row[21],
        "updated_at": row[22],
        "due_at": row[23],
        "resolved_at": row[24],
        "closed_at": row[25],
        "close_code": row[26],
        "close_notes": row[27],
        "reopen_count": row[28],
        "version": row[29],
        "allowed_verbs": _VERBS[row[4]],
        "links": links,
        "opened_by": row[30],
        "parent": row[31],
        "duplicate_of": row[32],
        "reassignment_count": row[33],
    }


async def _take_number(caller: Any, tenant_id: UUID, prefix: str) -> str:
    _, numbers = await _pools()
    async with numbers.connection() as connection, connection.transaction():
        await connection.execute("SELECT set_config('itsm.tenant', %s, true)", (str(tenant_id),))
        row = await (await connection.execute(SQL["NUMBER"])).fetchone()
    return f"{prefix}{row[0]:07d}"


async def _tenant(connection: AsyncConnection[Any]) -> UUID:
    row = await (await connection.execute("SELECT current_setting('itsm.tenant')::uuid")).fetchone()
    return UUID(str(row[0]))


def _event(kind: str, caller: Any, tenant: UUID, ticket: UUID, sequence: int, previous: Any, payload: Any) -> Any:
    """The parameters of an event, with the digest over the same content that the product's covers."""
    now, event, request = datetime.now(UTC), uuid7(), str(uuid7())
    stamp = now.isoformat(timespec="microseconds")
    content = [
        *(str(tenant), str(event), str(ticket), sequence, kind, 1, "token", str(caller[1]), str(caller[0])),
        *(None, 0, request, payload, stamp, stamp, bytes(previous).hex() if previous else None),
    ]
    return {
        "tenant": tenant,
        "ticket": ticket,
        "event": event,
        "sequence": sequence,
        "kind": kind,
        "person": caller[1],
        "token": str(caller[0]),
        "request": request,
        "payload": orjson.dumps(payload).decode(),
        "now": now,
        "previous": previous,
        "digest": hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest(),
    }


async def _create(connection: AsyncConnection[Any], caller: Any, given: dict[str, Any]) -> Answer:
    title, description = given["title"].strip(), given["description"].strip()
    if not title or len(title) > 200 or given["impact"] not in (1, 2, 3) or given["urgency"] not in (1, 2, 3):
        raise Refused(400)
    wanted = {name: given[name] for name in ("service", "category", "team", "impact", "urgency")}
    known = await (await connection.execute(SQL["REFERENCES"], {**wanted, "person": caller[1]})).fetchone()
    if known is None:
        raise Refused(400)
    tenant = await _tenant(connection)
    ticket, salt = uuid7(), secrets.token_bytes(_SALT_BYTES)
    payload = {
        "state": [None, 1],
        "impact": given["impact"],
        "urgency": given["urgency"],
        "priority": known[4],
        "requester": str(caller[1]),
        "channel": "api",
        "service": given["service"],
        "category": given["category"],
        "team": given["team"],
        "assignee": None,
        "texts": {
            "title": hashlib.sha256(salt + title.encode()).hexdigest(),
            "description": hashlib.sha256(salt + description.encode()).hexdigest(),
        },
    }
    event = _event("incident.opened", caller, tenant, ticket, 1, None, payload)
    number = await _take_number(caller, tenant, known[5])
    row = {"number": number, "title": title, "description": description, "priority": known[4], "salt": salt}
    promised = _promised(await (await connection.execute(SQL["BOOK"])).fetchall())
    await connection.execute(SQL["CREATE"], {**event, **wanted, **row, **promised})
    shown = [None] * 34
    shown[:6] = [ticket, number, title, description, 1, "new"]
    shown[7:21] = [
        *(given["impact"], given["urgency"], known[4], caller[1], known[0], None, None, given["team"], known[3]),
        *(given["service"], known[1], given["category"], known[2], "api"),
    ]
    shown[21] = shown[22] = event["now"]
    shown[23] = event["now"] + _RESPONSE
    shown[28:31] = [0, 1, caller[1]]
    shown[33] = 0
    return 201, _show(shown, []), [(b"etag", b'"1"'), (b"location", f"/api/v1/incidents/{ticket}/".encode())]


def _promised(book: list[Any]) -> dict[str, Any]:
    """Ids for the two clocks of a new ticket, and what they run under: the first policy of each metric, the first calendar."""
    found = {"calendar": next(row[2] for row in book if row[0] == "calendar")}
    for metric in ("response", "resolution"):
        policy = next(row for row in book if row[0] == "policy" and row[4] == metric)
        found |= {f"{metric}_clock": uuid7(), f"{metric}_policy": policy[1], f"{metric}_version": policy[2]}
    return found


async def _verb(
    connection: AsyncConnection[Any], caller: Any, ticket: UUID, verb: str, given: dict[str, Any], headers: Any
) -> Answer:
    row = await (await connection.execute(SQL["LOCK"], {"ticket": ticket})).fetchone()
    if row is None:
        raise Refused(404)
    if headers.get(b"if-match") != b'"%d"' % row[29]:
        raise Refused(412)
    if verb not in _VERBS[row[4]]:
        raise Refused(409)
    state, category = (3, "waiting") if verb == "hold" else (2, "active")
    reason = given.get("hold_reason", "")
    payload = {"state": [row[4], state], "hold_reason": reason or row[6]}
    kind = "incident.held" if verb == "hold" else "incident.resumed"
    event = _event(kind, caller, row[36], ticket, row[34] + 1, row[35], payload)
    clocks = await (await connection.execute(SQL["CLOCKS"], {"ticket": ticket})).fetchall()
    moving = [row[0] for row in clocks if row[10] in _OPEN_CLOCKS and _PAUSES in (reason, row[17])]
    change = {"state": state, "state_category": category, "hold_reason": reason, "clocks": moving}
    await connection.execute(SQL["VERB"], {**event, **change})
    # The product asks this, because children follow their parent; the benchmark's tickets have none.
    await (await connection.execute(SQL["CHILDREN"], {"ticket": ticket})).fetchall()
    links = await _links(connection, [ticket])
    shown = list(row)
    shown[4:7] = [state, category, reason or None]
    shown[22], shown[23], shown[29] = event["now"], None if state == 3 else event["now"] + _RESOLUTION, row[29] + 1
    return 200, _show(shown, links.get(ticket, [])), [(b"etag", b'"%d"' % shown[29])]
