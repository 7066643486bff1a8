"""The six operations as requests: whose, on which tickets, and what a right answer is."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from scripts.bench.data import Desk
from scripts.bench.load import Request, request
from scripts.bench.vocabulary import EVERY

NAMES = ("create", "get", "verb", "list", "search", "page")
_TITLE = "Printer on the third floor prints nothing but zebras"
_TEXT = " ".join(["It began this morning after the update and happens with every document that has pictures."] * 3)
_LIST = "/api/v1/incidents/?state_category=new,active,waiting&sort=priority&team="


@dataclass(slots=True)
class Sample:
    """A tenant with tickets of it to read, and tickets in progress that verbs may move, each used by one run only."""

    desk: Desk
    ids: list[str]
    working: list[str]
    cookies: list[str]


def samples(connection: psycopg.Connection[Any], desks: Sequence[Desk], cookies: dict[str, list[str]]) -> list[Sample]:
    """What the requests are made of, read once."""
    found = []
    for desk in desks:
        ids = connection.execute(
            "SELECT id::text FROM tickets_ticket WHERE tenant_id = %s ORDER BY random() LIMIT 2000", [desk.id]
        )
        working = connection.execute(
            "SELECT id::text FROM tickets_ticket WHERE tenant_id = %s AND state = 2 ORDER BY random() LIMIT 20000",
            [desk.id],
        )
        found.append(Sample(desk, [row[0] for row in ids], [row[0] for row in working], cookies.get(desk.slug, [])))
    return found


def share(chosen: Sequence[Sample], number: int, parts: int) -> list[Sample]:
    """The same, with every ``parts``-th of the tickets that verbs move: no run may meet what another one moved."""
    return [replace(sample, working=sample.working[number::parts]) for sample in chosen]


def sources(name: str, chosen: Sequence[Sample], connections: int) -> list[Iterator[Request]]:
    """An endless stream of requests for each connection."""
    make = {"create": _create, "get": _get, "verb": _verb, "list": _list, "search": _search, "page": _page}[name]
    return [make(chosen, number, connections) for number in range(connections)]


def _pick(chosen: Sequence[Sample], number: int) -> Callable[[], Sample]:
    """A tenant at random, each as often as it has tickets."""
    chance = random.Random(number)  # noqa: S311 - repeatable, not secret
    weights = [sample.desk.count for sample in chosen]
    return lambda: chance.choices(chosen, weights)[0]


def _token(sample: Sample, number: int) -> dict[str, str]:
    return {"Authorization": f"Bearer {sample.desk.tokens[number % len(sample.desk.tokens)]}"}


def _holds(**wanted: Any) -> Callable[[bytes], bool]:
    def check(body: bytes) -> bool:
        answer = json.loads(body)
        return all(answer[name] == value for name, value in wanted.items())

    return check


def _create(chosen: Sequence[Sample], number: int, connections: int) -> Iterator[Request]:
    pick = _pick(chosen, number)
    turn = number
    while True:
        desk = (sample := pick()).desk
        turn += 1
        body = {
            "title": _TITLE,
            "description": _TEXT,
            "impact": 1 + turn % 3,
            "urgency": 1 + turn // 3 % 3,
            "service": str(desk.services[turn % len(desk.services)]),
            "category": str(desk.categories[turn % len(desk.categories)]),
            "team": str(desk.teams[turn % len(desk.teams)]),
        }
        raw = request("POST", "/api/v1/incidents/", _token(sample, number), json.dumps(body).encode())
        yield Request(raw, 201, _holds(title=_TITLE, state=1, version=1, impact=body["impact"]))


def _get(chosen: Sequence[Sample], number: int, connections: int) -> Iterator[Request]:
    pick, chance = _pick(chosen, number), random.Random(number)  # noqa: S311
    while True:
        ticket = chance.choice((sample := pick()).ids)
        yield Request(request("GET", f"/api/v1/incidents/{ticket}/", _token(sample, number)), 200, _holds(id=ticket))


def _verb(chosen: Sequence[Sample], number: int, connections: int) -> Iterator[Request]:
    """Every ticket of this connection's own goes on hold, then every one back to work, and so on."""
    mine = [(s, ticket) for s in chosen for ticket in s.working[number::connections]]
    random.Random(number).shuffle(mine)  # noqa: S311
    version, state = 2, 2
    while mine:
        verb, state, body = ("hold", 3, b'{"hold_reason": "awaiting_vendor"}') if state == 2 else ("resume", 2, b"{}")
        for sample, ticket in mine:
            headers = {**_token(sample, number), "If-Match": f'"{version}"'}
            raw = request("POST", f"/api/v1/incidents/{ticket}/{verb}/", headers, body)
            yield Request(raw, 200, _holds(id=ticket, state=state, version=version + 1))
        version += 1


def _results(body: bytes) -> list[Any]:
    return list(json.loads(body)["results"])


def _list(chosen: Sequence[Sample], number: int, connections: int) -> Iterator[Request]:
    pick, chance = _pick(chosen, number), random.Random(number)  # noqa: S311

    def right(team: str, least: int) -> Callable[[bytes], bool]:
        def check(body: bytes) -> bool:
            rows = _results(body)
            places = [row["priority"] for row in rows]
            return (
                least <= len(rows) <= 50 and places == sorted(places) and {row["team"]["id"] for row in rows} <= {team}
            )

        return check

    while True:
        team = str(chance.choice((sample := pick()).desk.teams))
        # With a few tickets in all, a team may have none that is open.
        least = 1 if sample.desk.count >= 400 else 0
        yield Request(request("GET", f"{_LIST}{team}", _token(sample, number)), 200, right(team, least))


def _search(chosen: Sequence[Sample], number: int, connections: int) -> Iterator[Request]:
    """Rare, middling and common words in turn."""
    pick, turn = _pick(chosen, number), number

    def right(word: str, least: int) -> Callable[[bytes], bool]:
        def check(body: bytes) -> bool:
            rows = _results(body)
            return len(rows) >= least and all(word in f"{row['title']} {row['description']}".lower() for row in rows)

        return check

    while True:
        sample = pick()
        turn += 1
        word, every = list(EVERY.items())[turn % len(EVERY)]
        least = min(50, sample.desk.count // every)
        raw = request("GET", f"/api/v1/incidents/?q={word}", _token(sample, number))
        yield Request(raw, 200, right(word, least))


def _page(chosen: Sequence[Sample], number: int, connections: int) -> Iterator[Request]:
    pick = _pick(chosen, number)

    def check(body: bytes) -> bool:
        return 0 < body.count(b'<tr class="row"') <= 50 and b"</html>" in body

    while True:
        sample = pick()
        headers = {
            "Cookie": f"sessionid={sample.cookies[number % len(sample.cookies)]}",
            "Accept-Encoding": "identity",
            "Accept-Language": "en",
        }
        yield Request(request("GET", f"/t/{sample.desk.slug}/queue/?view=open", headers), 200, check)
