"""Every operation of the API, as its document lists them, against the corpus: a clear refusal that names the place.

One test per operation. Whoever asks may do everything in his own tenant, so that no refusal hides another. After
each refusal every row of the tenant must be what it was.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml
from django.db import transaction
from django.test import Client, override_settings

from incidents.commands import declare_major
from itsm.access.catalogue import GRANTABLE, PER_PROCESS
from itsm.escalation.models import EscalationPolicy
from itsm.events.relay import relay
from itsm.notify.commands.endpoints import create_endpoint
from itsm.notify.commands.templates import set_template
from itsm.notify.models import Notification
from itsm.oncall.commands import create_feed
from itsm.oncall.models import OnCallOverride
from itsm.sla.commands import create_calendar
from itsm.sla.models import SlaPolicy
from itsm.tickets.commands import attach_file, comment_on_ticket, link_tickets
from itsm.tickets.commands.configuration import create_category, create_service
from tests.api.caller import problem
from tests.factories import Desk
from tests.hostile import values
from tests.oncall.schedules import fill
from tests.snapshot import changes, snapshot

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "openapi.yaml"
HOURS = {"timezone": "UTC", "weekly": {"mon": [["09:00", "17:00"]]}}
#: What an escalation policy says at least; the terms of service levels are another thing.
STEPS: dict[str, Any] = {"steps": [{"do": [{"action": "notify_team"}]}]}
#: Strings that must be something in particular.
_EXAMPLES = {"url": "https://hooks.example.org/", "key": "reply"}
METHODS = ("get", "post", "patch", "put", "delete")


@cache
def document() -> dict[str, Any]:
    return yaml.load(DOCUMENT.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


@dataclass(frozen=True)
class Operation:
    """One method of one address, with what its document says that it takes."""

    method: str
    path: str
    query: tuple[str, ...]
    media: str
    schema: dict[str, Any] = field(hash=False)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path.removeprefix('/api/v1/')}"

    @property
    def properties(self) -> dict[str, Any]:
        return self.schema.get("properties", {})

    def valid(self, ids: dict[str, str]) -> dict[str, Any]:
        """A body in which every mandatory field is in order."""
        return {
            name: STEPS if name == "terms" and "escalation" in self.path else example(name, resolved(about), ids)
            for name, about in self.properties.items()
            if name in self.schema.get("required", ()) or (self.method == "patch" and name == "title")
        }


def example(name: str, about: dict[str, Any], ids: dict[str, str]) -> Any:
    for part in (*about.get("oneOf", ()), *about.get("allOf", ())):
        about = {**about, **resolved(part)}
    if "enum" in about:
        return about["enum"][0]
    kind = about.get("type")
    if name in {"hours", "terms"}:
        return (
            HOURS
            if name == "hours"
            else {"calendar": ids["calendar"], "targets": [{"target": "4h", "when": {"priority": [1]}}]}
        )
    if kind == "array" or kind == ["array", "null"]:
        return [example(name, resolved(about["items"]), ids)]
    if about.get("format") == "date-time":
        return f"2096-01-0{1 if name == 'starts_at' else 2}T09:00:00Z"
    if name == "person":
        return None
    if name in _EXAMPLES:
        return _EXAMPLES[name]
    return ids["ticket"] if name in {"into", "target", "parent"} else "Something"


def operations() -> list[Operation]:
    found = []
    for path, methods in document()["paths"].items():
        for method in METHODS:
            if method not in methods:
                continue
            about = methods[method]
            media, body = next(iter(about.get("requestBody", {}).get("content", {}).items()), ("", {}))
            names = tuple(p["name"] for p in about.get("parameters", ()) if p["in"] == "query")
            found.append(Operation(method, path, names, media, resolved(body.get("schema", {}))))
    return found


class Attacker:
    """Sends one request after the other and looks after each whether it was a clean answer."""

    def __init__(self, desk: Desk, foreign: Desk) -> None:
        self.desk = desk
        desk.person("everything", *((role, "incident" if role in PER_PROCESS else None, None) for role in GRANTABLE))
        self.client = Client(raise_request_exception=False)
        self.client.force_login(desk.users["everything"])
        actor = desk.actor("everything")
        self.ticket, other = desk.incident(), desk.incident()
        file = attach_file(actor=actor, ticket_id=self.ticket.pk, name="a.txt", content=BytesIO(b"text"), size=4)
        link = link_tickets(actor=actor, ticket_id=self.ticket.pk, target_id=other.pk)
        declare_major(actor=actor, ticket_id=self.ticket.pk, reason="It spreads")
        theirs = foreign.incident()
        self.ids = {"ticket": str(other.pk), "key": str(self.ticket.pk), "file": str(file.pk), "link": str(link.pk)}
        self.foreign = {
            "teams": foreign.teams["network"].pk,
            "users": foreign.people["agent"].pk,
            "services": create_service(actor=foreign.actor("admin"), name="Theirs").pk,
            "categories": create_category(actor=foreign.actor("admin"), name="Theirs").pk,
        }
        self.foreign_ticket = theirs.pk
        self.keys = {
            "incidents": self.ticket.pk,
            "me": self.told(),
            "teams": desk.teams["network"].pk,
            "users": desk.people["agent"].pk,
            "services": create_service(actor=actor, name="Ours").pk,
            "categories": create_category(actor=actor, name="Ours").pk,
            "sla-calendars": create_calendar(actor=actor, name="Ours", hours=HOURS).pk,
        }
        self.keys["on-call-schedules"] = fill(desk, "Ours").pk
        with desk.inside():
            self.keys["escalation-policies"] = EscalationPolicy.objects.get().pk
            self.ids["override"] = str(OnCallOverride.objects.get().pk)
        self.ids["calendar"] = str(self.keys["sla-calendars"])
        with desk.inside():
            self.keys["sla-policies"] = SlaPolicy.objects.get(name="Resolution").pk
        ours = self.keys["on-call-schedules"]
        self.keys["me/calendar-addresses"] = create_feed(actor=actor, schedule_id=ours)[0].pk
        self.keys["webhook-endpoints"] = create_endpoint(actor=actor, name="Ours", url="https://hooks.example.org/")[
            0
        ].pk
        words = {"subject": "{ticket.number}", "text": "Ours"}
        self.keys["message-templates"] = set_template(actor=actor, key="reply", language="en", **words).pk
        self.before = snapshot(desk)
        self.wrong: list[str] = []
        self.asked = self.sent = 0
        #: Every request, or every ``share``-th from ``first`` on.
        self.first, self.share = 0, 1

    def told(self) -> UUID:
        """A notification in the attacker's own inbox."""
        comment_on_ticket(actor=self.desk.actor("agent"), ticket_id=self.ticket.pk, body="@everything look")
        relay(self.desk.tenant.pk)
        with self.desk.inside():
            return UUID(str(Notification.objects.values_list("pk", flat=True).get(topic="mention")))

    def address(self, operation: Operation, **parts: str) -> str:
        parts_of = operation.path.split("/")[3:]
        key = str(self.keys.get("/".join(parts_of[:2])) or self.keys.get(parts_of[0], uuid4()))
        return self.desk.prefix + operation.path.format(**{**self.ids, "key": key, **parts})

    def filled(self, value: str, field_name: str = "") -> str:
        theirs = self.foreign.get(
            {"team": "teams", "service": "services", "category": "categories"}.get(field_name, "users"),
        )
        if field_name in {"into", "target", "parent", "key"}:
            theirs = self.foreign_ticket
        return value.replace(values.FOREIGN, str(theirs)).replace(
            values.UNKNOWN, "0190c2a1-0000-7c11-8d2a-5b1f0a9c3e44"
        )

    def send(
        self,
        operation: Operation,
        what: str,
        *,
        body: bytes | dict[str, Any] | None = None,
        query: str = "",
        path: str = "",
        method: str = "",
        kind: str | None = None,
        headers: dict[str, str] | None = None,
        where: tuple[str, str] | None = None,
    ) -> Any:
        """``where`` is the member and the name that a 400 must point at. Answers the response, None if not its turn."""
        self.asked += 1
        if self.asked % self.share != self.first % self.share:
            return None
        raw = json.dumps(body).encode() if isinstance(body, dict) else body or b""
        sent = {"HTTP_IF_MATCH": "*"}
        sent |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()}
        address = (path or self.address(operation)) + (f"?{query}" if query else "")
        undo = transaction.savepoint()
        client = self.client if "HTTP_COOKIE" not in sent else Client(raise_request_exception=False)
        answer = client.generic(
            (method or operation.method).upper(), address, raw, operation.media if kind is None else kind, **sent
        )
        self.sent += 1
        self.look(f"{operation.name}, {what}", answer, where)
        # Undone, so that every value meets the same state.
        transaction.savepoint_rollback(undo)
        return answer

    def look(self, what: str, answer: Any, where: tuple[str, str] | None) -> None:
        """Note what is wrong with an answer."""
        status = answer.status_code
        if status >= 500:
            self.wrong.append(f"{what}: {status} {answer.content[:300]!r}")
        elif status >= 400:
            if answer["Content-Type"] != "application/problem+json":
                self.wrong.append(f"{what}: {status} is no problem but {answer['Content-Type']}")
            else:
                self.named(what, status, answer.json(), where)
            if difference := changes(self.before, snapshot(self.desk)):
                self.wrong.append(f"{what}: {status}, and yet {difference}")
        elif status >= 300:
            self.wrong.append(f"{what}: {status} to {answer.get('Location')}")
        if "Set-Cookie: x" in str(answer.headers) or any("\n" in value for value in answer.headers.values()):
            self.wrong.append(f"{what}: a header was split")

    def named(self, what: str, status: int, body: dict[str, Any], where: tuple[str, str] | None) -> None:
        """A 400 says where: the field, the parameter or the header that was hostile, and what to do."""
        if not body.get("detail") or not body.get("code") or body.get("status") != status:
            self.wrong.append(f"{what}: {body}")
        if status != 400 or where is None:
            return
        member, name = where
        places = [error.get(member) for error in body.get("errors", ())]
        if not any(found == name or (found or "").startswith(f"{name}/") for found in places):
            whole = {"malformed_json", "not_utf8", "too_deep"} & {error["code"] for error in body.get("errors", ())}
            if not whole:
                self.wrong.append(f"{what}: names {places}, not {name}")


@pytest.fixture
def attacker(acme: Desk, globex: Desk) -> Attacker:
    return Attacker(acme, globex)


OPERATIONS = operations()


#: Operations that share a desk: making it takes longer than a share of the corpus, and all that is sent is undone.
TOGETHER = 8


@pytest.mark.parametrize("group", range(0, len(OPERATIONS), TOGETHER))
def test_a_share_of_the_corpus(attacker: Attacker, group: int) -> None:
    """Each operation takes another share, so that together they take everything."""
    for first, operation in list(enumerate(OPERATIONS))[group : group + TOGETHER]:
        attacker.first, attacker.share, attacker.asked = first, 9, 0
        attack(attacker, operation)


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda found: found.name.replace("/", "."))
def test_the_whole_corpus(attacker: Attacker, operation: Operation) -> None:
    attacker.first, attacker.share = values.PART
    attack(attacker, operation)


def attack(attacker: Attacker, operation: Operation) -> None:
    with override_settings(API_RATE_LIMITS={"token": (10**9, 60), "tenant": (10**9, 60)}):
        fields(attacker, operation)
        queries(attacker, operation)
        addresses(attacker, operation)
        envelopes(attacker, operation)
        bodies(attacker, operation)
    assert attacker.sent > 100 / attacker.share
    assert attacker.wrong == [], "\n".join(attacker.wrong)


def fields(attacker: Attacker, operation: Operation) -> None:
    """Each field in turn hostile, all others in order."""
    if operation.media != "application/json":
        return
    valid = operation.valid(attacker.ids)
    for name in operation.properties:
        rest = {key: value for key, value in valid.items() if key != name}
        for what, text in values.JSON.items():
            body = json.dumps({**rest, name: "HERE"}).replace('"HERE"', attacker.filled(text, name))
            raw = body.encode("utf-8", "surrogateescape")
            answer = attacker.send(operation, f"{name} {what}", body=raw, where=("pointer", f"/{name}"))
            if what == "id of another tenant" and answer is not None and answer.status_code < 400:
                stored = answer.content.decode()
                if attacker.filled(text, name).strip('"') in stored and name not in {
                    "title", "description", "body", "reason", "comment", "close_notes", "name", "subject", "text",
                }:  # fmt: skip
                    attacker.wrong.append(f"{operation.name}, {name}: took another tenant's id")
        twice = json.dumps({**rest, name: 1})[:-1] + f', "{name}": 1}}'
        attacker.send(operation, f"{name} twice", body=twice.encode(), where=("pointer", f"/{name}"))
    for unknown in ("tenant_id", "id", "__class__", "a/b~c", "\u202e"):
        answer = attacker.send(
            operation, f"unknown field {unknown!r}", body={**valid, unknown: 1},
            where=("pointer", f"/{unknown.replace('~', '~0').replace('/', '~1')}"),
        )  # fmt: skip
        if answer is not None and answer.status_code < 400:
            attacker.wrong.append(f"{operation.name}: took the unknown field {unknown!r}")


def bodies(attacker: Attacker, operation: Operation) -> None:
    """Whole bodies that are none. A GET and a DELETE do not look at theirs."""
    for what, raw in values.BODIES.items():
        answer = attacker.send(operation, f"body {what}", body=raw, kind=operation.media or "application/json")
        empty = what in {"nothing", "blank"}
        if operation.method in {"post", "patch"} and not empty and answer is not None and answer.status_code < 400:
            attacker.wrong.append(f"{operation.name}, body {what}: {answer.status_code}")


def queries(attacker: Attacker, operation: Operation) -> None:
    """Each parameter in turn hostile; unknown and repeated ones; on every method."""
    valid = operation.valid(attacker.ids) if operation.media == "application/json" else None
    for name in operation.query:
        for what, text in values.QUERIES.items():
            attacker.send(
                operation, f"?{name} {what}", query=f"{name}={attacker.filled(text, name)}", where=("parameter", name)
            )
        answer = attacker.send(operation, f"?{name} twice", query=f"{name}=1&{name}=2", where=("parameter", name))
        if answer is not None and answer.status_code != 400:
            attacker.wrong.append(f"{operation.name}, ?{name} twice: {answer.status_code}")
    for name in ("frobnicate", "a%00b", "%ff", "%0d%0aX:1", "tenant_id", "format"):
        answer = attacker.send(operation, f"?{name}", query=f"{name}=1", body=valid)
        if answer is not None and answer.status_code < 400:
            attacker.wrong.append(f"{operation.name}: took the unknown parameter {name}")


def envelopes(attacker: Attacker, operation: Operation) -> None:
    """Headers, content types and methods."""
    for what, (name, value) in values.HEADERS.items():
        # A body that is refused keeps the ticket as it is, so that every header meets the same state.
        body = {"title": 0} if operation.media == "application/json" else None
        attacker.send(operation, f"header {what}", body=body, headers={name: value})
    for what, kind in values.CONTENT_TYPES.items():
        for raw in (b"{}", b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--x--'):
            for key in ({}, {"Idempotency-Key": str(uuid4())}):
                answer = attacker.send(operation, f"type {what}", body=raw, kind=kind, headers=key)
                # JSON has no charset: what calls itself JSON is read as UTF-8, whatever parameters it has.
                fit = {400, 415} if not kind.startswith("application/json;") else {200, 201, 204, 400, 409}
                if answer is not None and operation.properties and answer.status_code not in fit:
                    attacker.wrong.append(f"{operation.name}, type {what}: {answer.status_code}")
    allowed = set(document()["paths"][operation.path]) | {"head"}
    for method in ("get", "post", "put", "patch", "delete", "options", "trace", "propfind", "x" * 40, "GE\xffT"):
        if method not in allowed:
            answer = attacker.send(operation, f"method {method}", method=method)
            if answer is not None:
                problem(answer, 405, "method_not_allowed")


def addresses(attacker: Attacker, operation: Operation) -> None:
    """Every part of the address in turn hostile: what never was, what is another's and what is no address look alike."""
    for part in ("key", "file", "link"):
        if f"{{{part}}}" not in operation.path:
            continue
        for what, text in values.KEYS.items():
            path = attacker.address(operation, **{part: attacker.filled(text, "key")})
            body = operation.valid(attacker.ids) if operation.media == "application/json" else None
            answer = attacker.send(operation, f"{part} {what}", path=path, body=body)
            if answer is not None and answer.status_code not in {404, 400}:
                attacker.wrong.append(f"{operation.name}, {part} {what}: {answer.status_code}")
