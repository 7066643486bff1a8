"""The sweep beside people who work: neither waits for the other."""

from __future__ import annotations

import threading

from itsm.events.write import unit_of_work
from itsm.sla.sweep import sweep
from itsm.tickets.fetch import lock_ticket
from tests.committed import CommittedDatabase
from tests.factories import make_desk
from tests.sla.desk import at, on


def test_a_sweep_does_not_wait_for_whoever_holds_the_ticket(committed_db: CommittedDatabase) -> None:
    """Its fires refer to the ticket; a lock against that would end in a deadlock with the command that wants the clocks."""
    desk = make_desk("acme")
    with at(1, 10):
        ticket = desk.incident(impact=1, urgency=1)
    held, swept = threading.Event(), threading.Event()
    in_time: list[bool] = []

    def edit() -> None:
        with unit_of_work(desk.actor("agent")) as work:
            lock_ticket(work.actor, ticket.pk)
            held.set()
            in_time.append(swept.wait(10))

    committed_db.thread(edit)
    assert held.wait(10)
    done = sweep(on(1, 10, 14))
    swept.set()
    committed_db.join()
    assert in_time == [True]
    assert (done.clocks, done.failed) == (1, 0)
