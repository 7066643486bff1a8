"""Signed webhooks, against a real server: what is sent, what is tried again, and where nothing is ever sent."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from itsm.events.models import Event
from itsm.events.relay import relay
from itsm.kernel import clock
from itsm.kernel.errors import Forbidden, Invalid
from itsm.notify import hooks, outward
from itsm.notify.commands.endpoints import create_endpoint, rotate_secret, update_endpoint
from itsm.notify.models import Dispatch, Endpoint, Notification
from itsm.notify.sending import send_due
from itsm.tickets.commands import assign_ticket, comment_on_ticket
from tests.factories import Desk
from tests.notify.conftest import NOON


@dataclass
class Receiver:
    """A real HTTP server on this machine, which answers as it is told."""

    url: str
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    location: str = ""
    drip: float = 0.0


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOKS_ALLOW_HTTP = settings.WEBHOOKS_ALLOW_PRIVATE = True

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            there.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(there.answers.pop(0) if there.answers else 204)
            if there.location:
                self.send_header("Location", there.location)
            self.end_headers()
            try:
                for _ in range(200 if there.drip else 0):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(there.drip)
            except OSError:
                return

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there = Receiver(f"http://127.0.0.1:{server.server_port}/hook?x=1")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield there
    server.shutdown()
    server.server_close()


def deliver(desk: Desk) -> None:
    relay(desk.tenant.pk)
    send_due(desk.tenant.pk)


def webhooks(desk: Desk) -> list[tuple[str, str]]:
    with desk.inside():
        rows = Dispatch.objects.filter(channel="webhook").order_by("created_at", "pk")
        return [(row.status, row.reason) for row in rows]


def verify(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As a receiver does it, written down anew from the specification."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return expected in headers["webhook-signature"].split(" ")


def test_the_signature_is_the_specifications() -> None:
    signature = hooks.sign(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_event_arrives_signed_and_once(acme: Desk, receiver: Receiver) -> None:
    _, secret = create_endpoint(actor=acme.actor("admin"), name="pager", url=receiver.url, kinds=["incident."])
    with clock.at(NOON):
        ticket = acme.incident()
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="Not of this kind")
        deliver(acme)
        deliver(acme)
    [(path, headers, body)] = receiver.got
    assert path == "/hook?x=1"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-timestamp"] == str(int(NOON.timestamp()))
    assert verify(secret, headers, body)
    assert not verify(secret, headers, body + b" ")
    sent = json.loads(body)
    assert sent["type"] == "incident.opened"
    assert datetime.fromisoformat(sent["timestamp"]) == NOON
    assert sent["data"]["ticket"] == {"id": str(ticket.pk), "number": ticket.number, "kind": "incident"}
    # No words of anybody's: those are read over the API, where rights apply.
    assert b"printer" not in body
    assert webhooks(acme) == [("sent", "")]


def test_notes_and_restricted_teams_do_not_leave(acme: Desk, receiver: Receiver) -> None:
    create_endpoint(actor=acme.actor("admin"), name="all", url=receiver.url)
    with clock.at(NOON):
        ticket = acme.incident()
        deliver(acme)
        receiver.got.clear()
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="Secret", audience="internal")
        deliver(acme)
        assert receiver.got == []
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="Open")
        relay(acme.tenant.pk)
        assign_ticket(actor=acme.system, ticket_id=ticket.pk, team_id=acme.teams["hr"].pk)
        deliver(acme)
    assert receiver.got == []
    assert webhooks(acme) == [("sent", ""), ("dropped", "no_right")]


def test_after_a_failure_it_is_tried_again_with_the_same_id(acme: Desk, receiver: Receiver) -> None:
    create_endpoint(actor=acme.actor("admin"), name="all", url=receiver.url)
    receiver.answers = [503, 302]
    receiver.location = receiver.url
    with clock.at(NOON):
        acme.incident()
        acme.incident()
        deliver(acme)
        # The second one waits for the endpoint to come back and is not tried.
        assert len(receiver.got) == 1
    for minutes in range(1, 4):
        with clock.at(NOON + timedelta(minutes=minutes)):
            deliver(acme)
    # A redirect is a failure and is not followed.
    assert len(receiver.got) == 4
    ids = [headers["webhook-id"] for _, headers, _ in receiver.got]
    assert len(set(ids)) == 2
    assert webhooks(acme) == [("sent", ""), ("sent", "")]
    with acme.inside():
        endpoint = Endpoint.objects.get()
        assert (endpoint.failures, endpoint.resting_until, endpoint.is_active) == (0, None, True)


@pytest.mark.parametrize("how", ["often", "gone"])
def test_an_endpoint_that_fails_is_switched_off_with_an_event_that_tells_the_admins(
    acme: Desk, receiver: Receiver, how: str
) -> None:
    endpoint, _ = create_endpoint(actor=acme.actor("admin"), name="all", url=receiver.url)
    receiver.answers = [410] if how == "gone" else [500] * 30
    with clock.at(NOON):
        acme.incident()
        if how == "often":
            with acme.inside():
                Endpoint.objects.update(failures=hooks.FAILURES - 1)
        deliver(acme)
        deliver(acme)
        with acme.inside():
            row = Endpoint.objects.get()
            assert (row.is_active, row.disabled_reason) == (False, f"HTTP {410 if how == 'gone' else 500}")
            event = Event.objects.get(kind="webhook.disabled")
            assert event.payload["endpoint"] == str(endpoint.pk)
            assert set(Notification.objects.values_list("topic", "person__name")) == {
                ("webhook_disabled", "admin of acme")
            }
    with clock.at(NOON + timedelta(hours=2)):
        acme.incident()
        deliver(acme)
        assert webhooks(acme) == [("dropped", "switched_off")]
        update_endpoint(actor=acme.actor("admin"), endpoint_id=endpoint.pk, active=True)
        receiver.answers = []
        acme.incident()
        deliver(acme)
        assert webhooks(acme)[-1] == ("sent", "")


def test_during_a_rotation_both_secrets_sign(acme: Desk, receiver: Receiver) -> None:
    with clock.at(NOON):
        endpoint, first = create_endpoint(actor=acme.actor("admin"), name="all", url=receiver.url)
        _, second = rotate_secret(actor=acme.actor("admin"), endpoint_id=endpoint.pk)
        acme.incident()
        deliver(acme)
    with clock.at(NOON + timedelta(hours=24)):
        acme.incident()
        deliver(acme)
    (_, during, one), (_, after, two) = receiver.got
    assert verify(first, during, one)
    assert verify(second, during, one)
    assert not verify(first, after, two)
    assert verify(second, after, two)
    with acme.inside():
        stored = Endpoint.objects.get()
        assert first not in (stored.secret, stored.previous_secret)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/",
        "ftp://hooks.example.org/",
        "https://",
        "https:///path",
        "https://user:secret@hooks.example.org/",
        "https://hooks.example.org/#x",
        "https://hooks.example.org:99999/",
        "https://hooks.example.org:0/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fe80::1%25eth0]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://ex ample.org/",
        "https://exämple.org/",
        "https://[half/",
        "javascript:alert(1)",
        "",
    ],
)
def test_where_nothing_is_sent(acme: Desk, url: str) -> None:
    with pytest.raises(Invalid) as refused:
        create_endpoint(actor=acme.actor("admin"), name="bad", url=url)
    assert refused.value.problems[0].pointer == "/url"
    with acme.inside():
        assert not Endpoint.objects.exists()


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1"])
def test_a_name_that_leads_inside_is_refused_when_it_is_called(acme: Desk, settings: Any, host: str) -> None:
    """Such a name may be anything on the day when it is saved; what counts is where it leads when it is called."""
    settings.WEBHOOKS_ALLOW_HTTP = True
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    with acme.inside():
        create_endpoint(actor=acme.actor("admin"), name="x", url=f"http://{host}:{listener.getsockname()[1]}/")
    with clock.at(NOON):
        acme.incident()
        deliver(acme)
    with pytest.raises(TimeoutError):
        listener.accept()
    listener.close()
    with acme.inside():
        row = Dispatch.objects.get()
        assert (row.status, "not an address of the public internet" in row.error) == ("planned", True)


def test_an_answer_that_never_ends_is_cut(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outward, "WHOLE_SECONDS", 1.0)
    receiver.drip = 0.1
    begun = time.monotonic()
    with contextlib.suppress(OSError):
        outward.post(receiver.url, b"{}", {})
    assert time.monotonic() - begun < 5


def test_the_name_is_looked_up_once(receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers differently the second time leads nowhere: there is no second time."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "rebinding.example":
            asked.append(host)
            return real("127.0.0.1", *args, **kwargs)
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    answer = outward.post(receiver.url.replace("127.0.0.1", "rebinding.example"), b"{}", {})
    assert answer.status == 204
    assert asked == ["rebinding.example"]
    settings.WEBHOOKS_ALLOW_PRIVATE = False
    with pytest.raises(outward.NotAllowed):
        outward.post(receiver.url.replace("127.0.0.1", "rebinding.example"), b"{}", {})
    assert len(receiver.got) == 1


@pytest.mark.parametrize("kinds", [["incident"], ["nothing."], ["incident.*"], [""], ["incident.nothing"]])
def test_kinds_that_there_are_not(acme: Desk, kinds: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        create_endpoint(actor=acme.actor("admin"), name="x", url="https://hooks.example.org/", kinds=kinds)
    assert refused.value.problems[0].pointer == "/kinds"


def test_only_admins_have_to_do_with_endpoints(acme: Desk) -> None:
    endpoint, _ = create_endpoint(actor=acme.actor("admin"), name="x", url="https://hooks.example.org/")
    for name in ("requester", "agent", "manager", "owner", "auditor"):
        with pytest.raises(Forbidden):
            create_endpoint(actor=acme.actor(name), name="y", url="https://hooks.example.org/")
        with pytest.raises(Forbidden):
            update_endpoint(actor=acme.actor(name), endpoint_id=endpoint.pk, active=False)
        with pytest.raises(Forbidden):
            rotate_secret(actor=acme.actor(name), endpoint_id=endpoint.pk)
    with acme.inside():
        assert Endpoint.objects.filter(is_active=True).count() == 1
