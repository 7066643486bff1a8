"""Every form of every page, as the pages themselves show them, against the corpus: no crash, no half of anything.

One test per page. Each request is undone afterwards, so that every value meets the form as it was. A refusal shows the
page again, marks the field, and leaves every row of the tenant as it was.
"""

from __future__ import annotations

import re
from functools import cache
from io import BytesIO
from itertools import count
from typing import Any
from urllib.parse import quote_from_bytes, urljoin, urlsplit
from uuid import uuid4

import pytest
from allauth.account.forms import default_token_generator as allauth_token
from allauth.account.utils import user_pk_to_url_str
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.test import Client
from django.utils.http import urlsafe_base64_encode

from incidents.commands import declare_major
from itsm.access.catalogue import GRANTABLE, PER_PROCESS
from itsm.access.commands import grant_role
from itsm.events.relay import relay
from itsm.notify.commands.endpoints import create_endpoint
from itsm.notify.commands.templates import set_template
from itsm.tenancy.models import Organisation, User
from itsm.tickets.commands import attach_file, comment_on_ticket, link_tickets, watch_ticket
from itsm.tickets.commands.configuration import create_category, create_service
from tests.addresses import Route, routes, subject_of
from tests.factories import Desk
from tests.hostile import values
from tests.hostile.pages import Form, Reader, part
from tests.oncall.schedules import fill
from tests.snapshot import changes, snapshot

PASSWORD = "correct horse battery"
#: Pages without a form of their own, or that lead to another one.
WITHOUT = re.compile(
    r"api/.*|healthz/.*|metrics|reports/.*|.*(history|delete|jsi18n|autocomplete)/$|.*<path:object_id>/$|.*\.\*"
)
PAGES = [
    route
    for route in routes()
    if not WITHOUT.fullmatch(route.pattern) and "<slug:name>" not in route.pattern and "<uuid:" not in route.pattern
]
#: Only these are for somebody who is not signed in.
OUTSIDE = re.compile(r"accounts/(login|inactive|invitation|password/reset)/.*")
#: On every page; driven from one.
EVERYWHERE = ("/accounts/logout/",)
#: Refused before any form is read.
WHOLE = re.compile(r"parcel|all megabyte")
_ADDRESSES = count(uuid4().int % 2**40)


class Visitor:
    """Somebody who may do everything at acme, and sends what no browser would."""

    def __init__(self, desk: Desk, foreign: Desk) -> None:
        self.desk = desk
        desk.person("everything", *((role, "incident" if role in PER_PROCESS else None, None) for role in GRANTABLE))
        actor, admin = desk.actor("everything"), desk.actor("admin")
        self.ticket, other = desk.incident(), desk.incident()
        comment_on_ticket(actor=actor, ticket_id=self.ticket.pk, body="Hello")
        watch_ticket(actor=actor, ticket_id=self.ticket.pk)
        attach_file(actor=actor, ticket_id=self.ticket.pk, name="a.txt", content=BytesIO(b"text"), size=4)
        link_tickets(actor=actor, ticket_id=self.ticket.pk, target_id=other.pk)
        declare_major(actor=actor, ticket_id=self.ticket.pk, reason="It spreads", stakeholder_ids=[actor.person_id])
        create_service(actor=admin, name="Mail")
        create_category(actor=admin, name="Hardware")
        with desk.inside():
            Organisation(tenant_id=desk.tenant.pk, name="Branch").save(force_insert=True)
        desk.token("agent", "incidents:read")
        comment_on_ticket(actor=desk.actor("agent"), ticket_id=self.ticket.pk, body="@everything look")
        create_endpoint(actor=admin, name="Pager", url="https://hooks.example.org/")
        set_template(actor=admin, key="reply", language="en", subject="{ticket.number}", text="{event.body}")
        relay(desk.tenant.pk)
        fill(desk, "Network")
        grant_role(actor=admin, person_id=desk.person("last").pk, role="requester")
        invited = User.objects.create(email="invited@acme.example")
        uid = user_pk_to_url_str(invited)
        self.keys = {"uidb36": uid, "key": allauth_token.make_token(invited)}
        self.keys |= {"uidb64": urlsafe_base64_encode(str(invited.pk).encode())}
        self.keys |= {"token": default_token_generator.make_token(invited)}
        self.foreign = str(foreign.teams["network"].pk)
        self.client = Client(raise_request_exception=False)
        self.wrong: list[str] = []
        self.sent = self.asked = 0
        #: Whether the form that is attacked is taken as the page offers it.
        self.fit = False
        self.first, self.share = 0, 1

    def sign_in(self, route: Route) -> None:
        if OUTSIDE.fullmatch(route.pattern):
            return
        user = self.desk.users["everything"]
        if route.pattern.startswith("accounts/"):
            # As a person does it, so that the pages that ask who it is know it already.
            User.objects.filter(pk=user.pk).update(is_active=True)
            self.client.post("/accounts/login/", {"login": user.email, "password": PASSWORD}, REMOTE_ADDR=address())
        else:
            self.client.force_login(user)

    def page_of(self, route: Route) -> str:
        with self.desk.inside():
            subject, keys = subject_of(route, self.ticket), self.keys
            here = route.fill({name: keys[name] if name in keys else subject(name) for name in route.parameters})
        return here if here.startswith("/accounts/") else self.desk.prefix + here

    def forms(self, page: str) -> list[Form]:
        answer = self.client.get(page, follow=True)
        page = answer.request["PATH_INFO"]
        if answer.status_code != 200 or "text/html" not in answer["Content-Type"]:
            return []
        found = Reader(answer.content.decode()).forms
        for form in found:
            form.action = urljoin(page, form.action or page)
        return [
            form
            for form in found
            if form.method != "dialog" and (form.action not in EVERYWHERE or page.endswith("/profile/"))
        ]

    def send(
        self, form: Form, what: str, data: dict[str, bytes], name: str = "", *, always: bool = False, **more: Any
    ) -> int:
        """Send the form with ``data`` in it; ``name`` is the one field that is hostile. Everything is undone again.

        Answers the status, 0 when it was not this request's turn.
        """
        self.asked += 1
        if not always and self.asked % self.share != self.first % self.share:
            return 0
        body = "&".join(f"{quoted(key.encode())}={quoted(value)}" for key, value in data.items())
        if form.method == "get":
            request = ("GET", f"{urlsplit(form.action).path}?{body}", b"", "")
        else:
            request = ("POST", form.action, body.encode(), "application/x-www-form-urlencoded")
        answer = self.request(f"{form.method} {form.action}, {what}", request, name, **more)
        return int(answer.status_code)

    def request(self, what: str, request: tuple[str, str, bytes, str], name: str = "", **more: Any) -> Any:
        cookies = self.client.cookies.output()
        method, path, body, kind = request
        place = transaction.savepoint()
        answer = self.client.generic(method, path, body, kind, REMOTE_ADDR=address(), **more)
        self.sent += 1
        self.look(what, method, answer, name)
        transaction.savepoint_rollback(place)
        if self.client.cookies.output() != cookies:
            self.client.cookies.clear()
            self.client.cookies.load(re.sub(r"(?m)^Set-Cookie: ", "", cookies).replace("\r\n", "; "))
        return answer

    def look(self, what: str, method: str, answer: Any, name: str) -> None:
        status = answer.status_code
        if status >= 500:
            self.wrong.append(f"{what}: {status}")
        if status >= 400 and (difference := changes(self.before, snapshot(self.desk))):
            self.wrong.append(f"{what}: {status}, and yet {difference}")
        if status in {301, 302} and urlsplit(answer["Location"]).netloc not in {"", "testserver"}:
            self.wrong.append(f"{what}: led to {answer['Location']}")
        if any("\n" in value or "\r" in value for value in answer.headers.values()):
            self.wrong.append(f"{what}: a header was split")
        if "text/html" in answer.get("Content-Type", ""):
            page = answer.content.decode()
            if "<script>alert(1)" in page:
                self.wrong.append(f"{what}: the page repeats a script")
            found = Reader(page)
            named = found.wrong or found.errors or "<li><strong>" in page
            if status == 400 and method == "POST" and not WHOLE.search(what) and not named:
                self.wrong.append(f"{what}: the page does not say what is wrong")
            # What is wrong with a hidden field stands above the form, without a name.
            said = name in found.wrong or len(found.errors) > len(found.wrong)
            if status == 400 and name and self.fit and found.wrong and not said:
                self.wrong.append(f"{what}: the page marks {found.wrong}: {found.errors}")

    def filled(self, value: bytes) -> bytes:
        return value.replace(values.FOREIGN.encode(), self.foreign.encode()).replace(
            values.UNKNOWN.encode(), b"0190c2a1-0000-7c11-8d2a-5b1f0a9c3e44"
        )

    def attack(self, route: Route) -> None:
        """All forms of a page: every field in turn, then all at once."""
        self.sign_in(route)
        page = self.page_of(route)
        self.before = snapshot(self.desk)
        for form in self.forms(page):
            good = {name: value.encode() for name, value in form.fields.items()}
            self.fit = False
            if form.method == "post":
                self.fit = self.send(form, "untouched", good, always=True) < 400
            for what, value in values.FORM.items():
                for name in form.typed:
                    self.send(form, f"{name} {what}", {**good, name: self.filled(value)}, name)
                self.send(form, f"all {what}", {**good, **dict.fromkeys(form.typed, self.filled(value))})
            for name in form.typed:
                self.send(form, f"without {name}", {key: value for key, value in good.items() if key != name}, name)
            self.send(form, "empty", {})
            if form.method == "post":
                self.parcels(form, good)
        assert self.wrong == [], "\n".join(self.wrong)

    def parcels(self, form: Form, good: dict[str, bytes]) -> None:
        """The same form as multipart/form-data, with what can be wrong about that."""
        bodies = {"many fields": part("x", b"1") * 1100, "many files": part("x", b"1", "a.txt") * 110}
        bodies["no end"] = b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nx'
        bodies["no name"] = b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n"
        bodies["no header"] = b"--b\r\n\r\nx\r\n"
        bodies["long header"] = b"--b\r\nContent-Disposition: form-data; name=" + b"x" * 20_000 + b"\r\n\r\nx\r\n"
        bodies["odd coding"] = (
            b'--b\r\nContent-Disposition: form-data; name="title"\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n'
        )
        bodies["odd charset"] = (
            b'--b\r\nContent-Disposition: form-data; name="title"\r\nContent-Type: text/plain; charset=utf-16\r\n\r\nx\r\n'
        )
        bodies["text for a file"] = part("file", b"text")
        bodies["file for a text"] = b"".join(part(name, b"text", "a.txt") for name in form.typed)
        whole = b"".join(part(name, value) for name, value in good.items() if name not in form.files)
        for name in form.files:
            for what, filename in values.FILENAMES.items():
                bodies[f"{name} called {what}"] = whole + part(name, b"text", filename)
            bodies[f"{name} empty"] = whole + part(name, b"", "a.txt")
        for what, body in bodies.items():
            self.asked += 1
            if self.asked % self.share == self.first % self.share:
                kind = "multipart/form-data; boundary=b"
                self.request(f"{form.action}, parcel {what}", ("POST", form.action, body + b"--b--\r\n", kind))


quoted = cache(quote_from_bytes)


def address() -> str:
    """Limits count by address: everybody comes from another one."""
    number = next(_ADDRESSES)
    return f"2001:db8:{number >> 32 & 0xFFFF:x}:{number >> 16 & 0xFFFF:x}::{number & 0xFFFF:x}"


@pytest.fixture
def visitor(acme: Desk, globex: Desk) -> Visitor:
    return Visitor(acme, globex)


#: Pages that share a desk: making it takes longer than a share of the corpus, and all that is sent is undone.
TOGETHER = 6


@pytest.mark.parametrize("group", range(0, len(PAGES), TOGETHER))
def test_a_share_of_the_corpus(visitor: Visitor, group: int) -> None:
    for first, page in list(enumerate(PAGES))[group : group + TOGETHER]:
        visitor.first, visitor.share, visitor.asked = first, 41, 0
        visitor.client = Client(raise_request_exception=False)
        visitor.attack(page)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=[page.pattern or "home" for page in PAGES])
def test_the_whole_corpus(visitor: Visitor, page: Route) -> None:
    visitor.first, visitor.share = values.PART
    visitor.attack(page)
