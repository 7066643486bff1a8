"""F16: hours change while two sweepers fire: nothing twice, nothing lost, in order, and everybody on the newest hours."""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import timedelta
from typing import Any

from itsm.kernel import clock
from itsm.sla.aftermath import catch_up
from itsm.sla.commands import change_calendar
from itsm.sla.models import SlaCalendar, SlaCalendarVersion, SlaClock, SlaClockEvent, SlaFire
from itsm.sla.sweep import sweep
from tests.committed import CommittedDatabase
from tests.factories import make_desk
from tests.sla.desk import at, on
from tests.sla.test_calendars_of_a_desk import office

TICKETS = 40
EDITS = 8


def test_hours_change_while_clocks_fire(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")
    with at(1, 9):
        for _ in range(TICKETS):
            desk.incident(impact=2, urgency=2, by="agent")
    with desk.inside():
        calendar = SlaCalendar.objects.get(name="Office hours").pk
    owner, now, ended, failed = desk.actor("owner"), [on(1, 9)], threading.Event(), list[BaseException]()

    def sweeping() -> None:
        try:
            while not ended.is_set():
                sweep(now[0], batch=7)
        except BaseException as error:
            failed.append(error)
            raise

    def editing() -> None:
        """The hours get longer and shorter by turns; each edit at the time that the sweepers have reached."""
        try:
            for turn in range(EDITS):
                hours = office(("09:00", "17:00" if turn % 2 else "18:30"))
                with clock.at(now[0]):
                    change_calendar(actor=owner, calendar_id=calendar, hours=hours)
                    catch_up()
                now[0] += timedelta(minutes=37)
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            ended.set()

    threads = [committed_db.thread(one) for one in (sweeping, sweeping, editing)]
    for thread in threads:
        thread.join(60)
    assert failed == []
    with clock.at(now[0]):
        assert catch_up() == 0
    now[0] = on(30, 0)
    while sweep(now[0]).fires:
        pass
    fired: dict[Any, list[tuple[Any, int]]] = defaultdict(list)
    with desk.inside():
        newest = SlaCalendarVersion.objects.filter(calendar=calendar).latest("version")
        assert newest.version == EDITS + 1
        for fire in SlaFire.objects.order_by("id"):
            fired[fire.clock_id].append((fire.due_at, fire.step))
        rows = list(SlaClock.objects.all())
        assert len(rows) == 2 * TICKETS
        for row in rows:
            assert (row.calendar_version_id, row.next_due_at, row.attempts) == (newest.pk, None, 0)
            steps = [step for _, step in fired[row.pk]]
            assert sorted(steps) == [0, 1, 2, 3], "each threshold once"
            assert [due for due, _ in fired[row.pk]] == sorted(due for due, _ in fired[row.pk]), "in order"
            assert row.breached_at is not None
        assert SlaClockEvent.objects.filter(operation="calendar").count() == 2 * TICKETS * EDITS
