"""Deadlines against a slow oracle: any calendar, any zone, near the days on which clocks change."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itsm.sla.calendar import SECOND, BusinessTime, Hours, from_micros, to_micros
from tests.sla import oracle

#: Zones with every kind of change: by an hour, by half an hour, at midnight, backwards in summer, by a whole day, never.
CHANGES = {
    "Europe/Berlin": ["2026-03-29", "2026-10-25"],
    "America/New_York": ["2026-03-08", "2026-11-01"],
    "America/St_Johns": ["2006-04-02", "2006-10-29"],
    "America/Sao_Paulo": ["2018-02-17", "2018-11-04"],
    "America/Havana": ["2026-03-08", "2026-11-01"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],
    "Asia/Kathmandu": ["2026-01-01"],
    "Asia/Beirut": ["2026-03-29", "2026-10-25"],
    "Africa/Casablanca": ["2026-02-15", "2026-03-22"],
    "Africa/Cairo": ["2026-04-24", "2026-10-29"],
    "Pacific/Apia": ["2011-12-30", "2012-04-01"],
    "Pacific/Chatham": ["2026-04-05", "2026-09-27"],
    "Europe/Dublin": ["2026-03-29", "2026-10-25"],
    "UTC": ["2026-06-01"],
}
LOOK = timedelta(days=12)


@st.composite
def day(draw: st.DrawFn, *, night: bool = True) -> list[tuple[int, int]]:
    """Shifts of one day: sorted, apart, the last perhaps over midnight."""
    cuts = sorted(draw(st.sets(st.integers(0, 95).map(lambda x: x * 15), min_size=0, max_size=6)))
    shifts = list(zip(cuts[::2], cuts[1::2], strict=False))
    if night and draw(st.booleans()):
        start = draw(st.integers(max(cuts[-1] if cuts else 0, 1140), 1439))
        shifts.append((start, 1440 + draw(st.integers(0, 480))))
    return shifts


@st.composite
def question(draw: st.DrawFn) -> dict[str, Any]:
    key = draw(st.sampled_from(sorted(CHANGES)))
    change = datetime.fromisoformat(draw(st.sampled_from(CHANGES[key]))).replace(tzinfo=UTC)
    start = change + timedelta(minutes=draw(st.integers(-4 * 1440, 2 * 1440)))
    near = st.integers(-4, 6).map(lambda days: (change + timedelta(days=days)).date())
    ends = draw(st.lists(st.integers(0, 6 * 1440), max_size=4).map(sorted))
    pauses = [
        (start + timedelta(minutes=a), start + timedelta(minutes=b))
        for a, b in zip(ends[::2], ends[1::2], strict=False)
    ]
    return {
        "zone": ZoneInfo(key),
        "weekly": draw(st.one_of(st.just([[(0, 1440)]] * 7), st.lists(day(), min_size=7, max_size=7))),
        "exceptions": draw(st.dictionaries(near, day(), max_size=3)),
        "start": start,
        "minutes": draw(st.one_of(st.integers(0, 90), st.integers(0, 3 * 1440))),
        "pauses": pauses,
    }


def agree(asked: dict[str, Any]) -> None:
    weekly, exceptions = asked["weekly"], asked["exceptions"]
    hours = Hours(asked["zone"], tuple(tuple(one) for one in weekly), {d: tuple(one) for d, one in exceptions.items()})
    until = asked["start"] + LOOK
    slow = oracle.deadline(asked["start"], asked["minutes"], asked["zone"], weekly, exceptions, asked["pauses"], until)
    pauses = [(to_micros(a), to_micros(b)) for a, b in asked["pauses"]]
    found = BusinessTime(hours).with_pauses(to_micros(asked["start"]), asked["minutes"] * 60 * SECOND, pauses)
    fast = None if found is None else from_micros(found)
    if slow is None:
        assert fast is None or fast > until
    else:
        assert fast == slow


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(question())
def test_every_deadline_is_what_stepping_finds(asked: dict[str, Any]) -> None:
    agree(asked)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(question())
def test_every_deadline_is_what_stepping_finds_at_length(asked: dict[str, Any]) -> None:
    agree(asked)


def test_a_deadline_is_a_matter_of_a_microsecond() -> None:
    """Measured as a ratio to the slow one in the same run; the absolute figure stands in docs/operations/benchmarks.md."""
    weekly: list[list[tuple[int, int]]] = [[(540, 1020)]] * 5 + [[], []]
    time_of = BusinessTime(Hours(ZoneInfo("Europe/Berlin"), tuple(tuple(one) for one in weekly), {}))
    start = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
    asked, target = to_micros(start), 40 * 3600 * SECOND
    time_of.deadline(asked, target)

    def fast(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            time_of.deadline(asked, target)
        return (time.perf_counter() - began) / count

    began = time.perf_counter()
    oracle.deadline(start, 40 * 60, time_of.hours.zone, weekly, {}, [], start + timedelta(days=30))
    slow = time.perf_counter() - began
    assert slow / min(fast(5000) for _ in range(5)) > 1000
