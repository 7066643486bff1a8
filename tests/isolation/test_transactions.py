"""One transaction is one tenant: nesting, savepoints, streams, callbacks, threads and pooled connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from itsm.events.models import Event
from itsm.kernel.actor import Actor
from itsm.tenancy.context import TenantMismatch, current_tenant_id, tenant
from itsm.tenancy.models import Team
from itsm.tenancy.roles import database_role
from itsm.tickets.commands import attach_file
from itsm.tickets.models import Ticket
from itsm.web.middleware import TenantMiddleware
from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk


class Undone(Exception):
    """Raised inside a block to roll it back."""


def setting() -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('itsm.tenant', true)")
        row = cursor.fetchone()
    return row[0] or None if row else None


def test_another_tenant_inside_a_tenant_is_refused(acme: Desk, globex: Desk) -> None:
    with acme.inside():
        with pytest.raises(TenantMismatch), globex.inside():
            pytest.fail("entered a second tenant")
        with pytest.raises(TenantMismatch):
            globex.incident(by="requester")
        # The refusal broke nothing: the first tenant is still in force, in Python and in the database.
        assert (current_tenant_id(), setting()) == (acme.tenant.pk, str(acme.tenant.pk))
        assert Team.objects.count() == 3
        with acme.inside():
            assert Team.objects.count() == 3
        assert Team.objects.count() == 3
    assert current_tenant_id() is None


@pytest.mark.parametrize("ending", ["normal", "exception", "rollback"])
def test_the_setting_ends_with_the_block_inside_an_outer_transaction(acme: Desk, globex: Desk, ending: str) -> None:
    with transaction.atomic():
        assert setting() is None
        try:
            with acme.inside():
                assert setting() == str(acme.tenant.pk)
                if ending == "exception":
                    raise Undone
                if ending == "rollback":
                    transaction.set_rollback(True)
        except Undone:
            pass
        assert (current_tenant_id(), setting()) == (None, None)
        with pytest.raises(DatabaseError), transaction.atomic():
            Team.objects.exists()
        with globex.inside():
            assert set(Team.objects.values_list("tenant_id", flat=True)) == {globex.tenant.pk}


def test_a_failed_statement_does_not_lose_the_tenant(acme: Desk) -> None:
    with acme.inside():
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        assert setting() == str(acme.tenant.pk)
        assert Team.objects.count() == 3


def test_other_roles_are_for_work_outside_a_tenant(acme: Desk) -> None:
    for role in ("owner", "platform"):
        with acme.inside(), pytest.raises(RuntimeError, match="outside every tenant"), database_role(role):
            pytest.fail("changed the role inside a tenant")


def test_a_streamed_body_is_produced_inside_the_tenant(committed_db: CommittedDatabase) -> None:
    """The body is read after the request's transaction has ended: by a server, in another turn, on any connection."""
    ours, theirs = make_desk("acme"), make_desk("globex")
    ours.incident(title="Only ours")

    def view(request: HttpRequest) -> StreamingHttpResponse:
        def lines() -> Iterator[bytes]:
            yield b"titles:"
            for title in Ticket.objects.values_list("title", flat=True):
                yield title.encode()

        return StreamingHttpResponse(lines())

    def ask(desk: Desk) -> bytes:
        request = RequestFactory().get(f"{desk.prefix}/stream")
        request.user = desk.users["agent"]
        request.request_id = "stream-1"  # type: ignore[attr-defined]
        response: Any = TenantMiddleware(view)(request)
        assert current_tenant_id() is None
        assert not connection.in_atomic_block
        return b"".join(response.streaming_content)

    assert (ask(ours), ask(theirs)) == (b"titles:Only ours", b"titles:")
    assert (current_tenant_id(), setting()) == (None, None)


def test_an_error_response_of_a_view_writes_nothing(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")

    def view(request: Any) -> HttpResponse:
        from incidents.commands import open_incident

        open_incident(actor=request.actor, title="Will be undone")
        return HttpResponse(status=400)

    request = RequestFactory().post(f"{desk.prefix}/x")
    request.user = desk.users["agent"]
    request.request_id = "undone-1"  # type: ignore[attr-defined]
    TenantMiddleware(view)(request)
    with desk.inside():
        assert not Ticket.objects.exists()
        assert not Event.objects.filter(kind="incident.opened").exists()


def test_callbacks_after_commit_must_enter_the_tenant_again(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")
    seen: list[Any] = []

    def forgot() -> None:
        try:
            seen.append(Team.objects.count())
        except DatabaseError as error:
            seen.append(type(error).__name__)

    def remembered() -> None:
        with tenant(desk.tenant.pk):
            seen.append(Team.objects.count())

    with desk.inside():
        transaction.on_commit(forgot)
        transaction.on_commit(remembered)
    assert seen[0] in {"ProgrammingError", "DataError"}
    assert seen[1:] == [3]


def test_a_thread_that_served_one_tenant_serves_the_next_one_clean(committed_db: CommittedDatabase) -> None:
    desks = [make_desk("acme"), make_desk("globex")]
    desks[0].incident(title="acme")
    desks[1].incident(title="globex")
    found: list[Any] = []

    def serve() -> None:
        for turn in range(40):
            desk = desks[turn % 2]
            try:
                with desk.inside():
                    found.append((turn % 2, *Ticket.objects.values_list("title", flat=True)))
                    if turn % 5 == 0:
                        raise Undone
            except Undone:
                pass
            try:
                Ticket.objects.exists()
                found.append("silent")
            except DatabaseError:
                pass

    for _ in range(3):
        committed_db.thread(serve)
    committed_db.join()
    assert sorted(set(found)) == [(0, "acme"), (1, "globex")]
    assert len(found) == 120


def test_a_pooled_connection_carries_nothing_to_its_next_user(committed_db: CommittedDatabase) -> None:
    """What a pool in transaction mode does: one server connection, transactions of many clients in turn."""
    ours, theirs = make_desk("acme"), make_desk("globex")
    lock = threading.Lock()
    with committed_db.connect("app") as server:
        results: list[Any] = []

        def client(desk: Desk | None) -> None:
            for _ in range(50):
                with lock:
                    try:
                        with server.transaction():
                            if desk is not None:
                                server.execute(f"SET LOCAL itsm.tenant = '{desk.tenant.pk}'")
                            row = server.execute("SELECT min(tenant_id::text) FROM tenancy_team").fetchone()
                            results.append((desk and str(desk.tenant.pk), row and row[0]))
                    except Exception as error:  # noqa: BLE001 - its class is what is asserted
                        results.append((desk and str(desk.tenant.pk), type(error).__name__))

        threads = [threading.Thread(target=client, args=(desk,)) for desk in (ours, theirs, None)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    a, b = str(ours.tenant.pk), str(theirs.tenant.pk)
    assert set(results) <= {(a, a), (b, b), (None, "UndefinedObject"), (None, "InvalidTextRepresentation")}
    assert len(results) == 150


def test_actors_of_one_tenant_do_not_act_in_another(acme: Desk, globex: Desk) -> None:
    ticket = acme.incident()
    from incidents.commands import start_incident
    from itsm.kernel.errors import NotFound

    for actor in (globex.actor("agent"), globex.actor("admin"), Actor.system(globex.tenant.pk, "test")):
        with pytest.raises(NotFound):
            start_incident(actor=actor, ticket_id=ticket.pk)
    with acme.inside():
        assert Ticket.objects.get(pk=ticket.pk).version == 1


def test_a_download_keeps_no_transaction_open(acme: Desk) -> None:
    """A slow reader would hold a connection for as long as he likes, and the database ends idle transactions."""
    ticket = acme.incident()
    actor = acme.actor("requester")
    file = attach_file(actor=actor, ticket_id=ticket.pk, name="a.txt", content=BytesIO(b"x" * 9000), size=9000)
    client = Client()
    client.force_login(acme.users["requester"])
    answer = client.get(f"{acme.prefix}/incidents/{ticket.number}/files/{file.pk}/")
    with CaptureQueriesContext(connection) as asked:
        assert answer.getvalue() == b"x" * 9000
    assert len(asked) == 0
