"""Where a file's bytes are: written with the request, moved by the relay, and the storage never asked in a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage, default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from itsm.events.delivery import LEASE, MAX_ATTEMPTS, deliver_outside
from itsm.events.models import Delivery
from itsm.events.relay import relay
from itsm.kernel import clock
from itsm.tickets.commands import attach_file, detach_file
from itsm.tickets.files import settle_file
from itsm.tickets.models import Attachment, AttachmentChunk, Ticket
from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk

BYTES = bytes(range(256)) * 10_000


class Storage(FileSystemStorage):
    """The real one, which fails when told to, and counts calls inside a transaction: each would wait for a network."""

    broken = False
    inside: list[str]

    def _note(self, what: str) -> None:
        if connection.in_atomic_block:
            self.inside.append(what)
        if self.broken:
            raise OSError("the storage is away")

    def save(self, *args: Any, **kwargs: Any) -> str:
        self._note("save")
        return super().save(*args, **kwargs)

    def delete(self, name: str) -> None:
        self._note("delete")
        super().delete(name)

    def open(self, *args: Any, **kwargs: Any) -> Any:
        self._note("open")
        return super().open(*args, **kwargs)


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    watched = Storage(location=default_storage.location)  # type: ignore[attr-defined]
    watched.inside = []
    monkeypatch.setattr(default_storage, "_wrapped", watched)
    yield watched
    assert watched.inside == []


@pytest.fixture
def desk(committed_db: CommittedDatabase) -> Desk:
    return make_desk("acme")


def upload(desk: Desk) -> tuple[Ticket, Attachment]:
    ticket = desk.incident()
    relay(desk.tenant.pk)
    return ticket, attach_file(
        actor=desk.actor("agent"), ticket_id=ticket.pk, name="a.bin", content=BytesIO(BYTES), size=len(BYTES)
    )


def chunks(desk: Desk) -> int:
    with desk.inside():
        return AttachmentChunk.objects.count()


def key_of(desk: Desk, file: Attachment) -> str:
    with desk.inside():
        return Attachment.objects.get(pk=file.pk).storage_key


def stored(desk: Desk) -> list[str]:
    folder = f"tenants/{desk.tenant.pk}"
    return default_storage.listdir(folder)[1] if default_storage.exists(folder) else []


def read(desk: Desk, ticket: Ticket, file: Attachment, status: int = 200) -> bytes:
    client = Client()
    client.force_login(desk.users["agent"])
    for address in (
        f"incidents/{ticket.number}/files/{file.pk}/",
        f"api/v1/incidents/{ticket.pk}/attachments/{file.pk}/content/",
    ):
        answer = client.get(f"{desk.prefix}/{address}")
        assert answer.status_code == status, address
        got = b"".join(answer.streaming_content) if status == 200 else b""  # type: ignore[attr-defined]
    return got


def test_a_file_is_there_at_once_and_moves_by_itself(desk: Desk, storage: Storage) -> None:
    ticket, file = upload(desk)
    assert (chunks(desk), key_of(desk, file), stored(desk)) == (3, "", [])
    assert read(desk, ticket, file) == BYTES
    relay(desk.tenant.pk)
    assert (chunks(desk), key_of(desk, file)) == (0, f"tenants/{desk.tenant.pk}/{file.pk}")
    assert stored(desk) == [str(file.pk)]
    assert read(desk, ticket, file) == BYTES
    detach_file(actor=desk.actor("agent"), ticket_id=ticket.pk, attachment_id=file.pk)
    relay(desk.tenant.pk)
    assert (stored(desk), key_of(desk, file)) == ([], "")
    read(desk, ticket, file, status=404)


def test_a_storage_that_is_away_costs_no_upload_and_is_tried_again(desk: Desk, storage: Storage) -> None:
    storage.broken = True
    ticket, file = upload(desk)
    relay(desk.tenant.pk)
    with desk.inside():
        waiting = Delivery.objects.get(consumer="files.settle")
        assert (waiting.status, waiting.attempts, waiting.error) == ("pending", 1, "OSError: the storage is away")
    assert (chunks(desk), read(desk, ticket, file)) == (3, BYTES)
    storage.broken = False
    relay(desk.tenant.pk)
    assert stored(desk) == [], "not due yet"
    with clock.at(clock.now() + timedelta(minutes=1)):
        relay(desk.tenant.pk)
    assert (stored(desk), chunks(desk)) == ([str(file.pk)], 0)


def test_a_half_written_file_is_written_anew_under_the_same_name(desk: Desk, storage: Storage) -> None:
    ticket, file = upload(desk)
    default_storage.save(f"tenants/{desk.tenant.pk}/{file.pk}", SimpleUploadedFile("x", b"half"))
    relay(desk.tenant.pk)
    assert stored(desk) == [str(file.pk)]
    assert read(desk, ticket, file) == BYTES


def test_removed_before_and_while_it_moves(desk: Desk, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = desk.actor("agent")
    ticket, file = upload(desk)
    detach_file(actor=agent, ticket_id=ticket.pk, attachment_id=file.pk)
    assert chunks(desk) == 0
    relay(desk.tenant.pk)
    assert stored(desk) == []
    ticket, file = upload(desk)
    save = Storage.save

    def slowly(self: Storage, *args: Any, **kwargs: Any) -> str:
        name = save(self, *args, **kwargs)
        detach_file(actor=agent, ticket_id=ticket.pk, attachment_id=file.pk)
        return name

    monkeypatch.setattr(Storage, "save", slowly)
    relay(desk.tenant.pk)
    assert (stored(desk), key_of(desk, file)) == ([], "")


def test_a_refused_request_leaves_nothing_anywhere(desk: Desk, storage: Storage) -> None:
    ticket = desk.incident()
    client = Client()
    client.force_login(desk.users["colleague"])
    answer = client.post(
        f"{desk.prefix}/api/v1/incidents/{ticket.pk}/attachments/", {"file": SimpleUploadedFile("a.txt", b"x")}
    )
    assert answer.status_code == 404
    relay(desk.tenant.pk)
    assert (chunks(desk), stored(desk)) == (0, [])


def test_a_worker_that_died_has_its_delivery_taken_and_a_deadly_one_ends(desk: Desk, storage: Storage) -> None:
    """The lease: nobody else takes it while it runs, and one that kills its worker each time is dead after ten."""
    _, file = upload(desk)
    with desk.inside():
        settled = Delivery.objects.filter(consumer="files.settle")

    def die(_event: object) -> None:
        raise KeyboardInterrupt

    from itsm.events.bus import Consumer, wiring

    real = wiring.consumers["files.settle"]
    start = clock.now()
    try:
        wiring.consumers["files.settle"] = Consumer(real.name, real.kinds, die, outside=True)
        with pytest.raises(KeyboardInterrupt):
            relay(desk.tenant.pk)
        assert deliver_outside(desk.tenant.pk) == 0, "leased"
        for attempt in range(2, MAX_ATTEMPTS + 1):
            start += LEASE + timedelta(seconds=5)
            with clock.at(start), pytest.raises(KeyboardInterrupt):
                deliver_outside(desk.tenant.pk)
            with desk.inside():
                assert [(one.status, one.attempts) for one in settled.all()] == [("pending", attempt)]
        with clock.at(start + 2 * LEASE):
            assert (deliver_outside(desk.tenant.pk), deliver_outside(desk.tenant.pk)) == (1, 0)
        with desk.inside():
            dead = settled.get()
            assert (dead.status, dead.attempts) == ("dead", MAX_ATTEMPTS)
            assert dead.error == "RuntimeError: no attempt came to an end"
            event = dead.event
    finally:
        wiring.consumers["files.settle"] = real
    settle_file(event)
    settle_file(event)
    assert stored(desk) == [str(file.pk)]
