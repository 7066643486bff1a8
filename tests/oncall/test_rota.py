"""Turns, restrictions, overrides: exact cases around the days on which clocks change, and any rota against a slow oracle."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itsm.oncall.rota import DAY_MINUTES, Layer, Override, Rota, Shift, gaps, on_call_at, shifts, turns
from tests.oncall.oracle import SlowLayer, walk
from tests.sla.test_calendar_oracle import CHANGES, day

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = 7 * DAY_MINUTES
_SPACE = UUID(int=7)


def who(name: str) -> UUID:
    return uuid5(_SPACE, name)


NAMES = {who(name): name for name in ("ana", "ben", "eva", "kim")}


def layer(name: str = "low", people: str = "ana ben eva", **given: Any) -> Layer:
    fields: dict[str, Any] = {
        "zone": BERLIN,
        "start": date(2026, 3, 2),
        "handoff": 9 * 60,
        "turn": WEEK,
        "people": tuple(who(one) for one in people.split()),
        **given,
    }
    return Layer(key=who(name), **fields)


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


def name_at(rota: Rota, instant: datetime, **more: Any) -> str | None:
    duty = on_call_at(rota, instant, **more).first
    return NAMES[duty.person] if duty and duty.person else None


def told(found: list[Shift]) -> list[tuple[str, str, str | None]]:
    return [
        (
            shift.start.astimezone(BERLIN).strftime("%d %H:%M%z"),
            shift.end.astimezone(BERLIN).strftime("%d %H:%M%z"),
            NAMES[shift.person] if shift.person else None,
        )
        for shift in found
    ]


def test_weeks_hand_off_at_nine_on_the_wall_in_summer_and_in_winter() -> None:
    rota = Rota((layer(),))
    assert name_at(rota, berlin("2026-03-02 08:59")) is None
    assert name_at(rota, berlin("2026-03-02 09:00")) == "ana"
    assert [name_at(rota, berlin(f"2026-03-{day:02} 08:59")) for day in (9, 16, 23, 30)] == ["ana", "ben", "eva", "ana"]
    assert [name_at(rota, berlin(f"2026-03-{day:02} 09:00")) for day in (9, 16, 23, 30)] == ["ben", "eva", "ana", "ben"]
    # The week of the spring change is an hour short, that of the autumn change an hour long; 09:00 stays 09:00.
    spring, autumn = (
        turns(rota, berlin("2026-03-29 12:00"), berlin("2026-03-29 13:00"))[0],
        turns(rota, berlin("2026-10-25 12:00"), berlin("2026-10-25 13:00"))[0],
    )
    assert told([spring]) == [("23 09:00+0100", "30 09:00+0200", "ana")]
    assert spring.end - spring.start == timedelta(hours=167)
    assert told([autumn]) == [("19 09:00+0200", "26 09:00+0100", "ana")]
    assert autumn.end - autumn.start == timedelta(hours=169)


def test_a_handoff_in_the_hour_that_is_missing_comes_right_after_it() -> None:
    rota = Rota((layer(turn=DAY_MINUTES, handoff=150, start=date(2026, 3, 28)),))
    assert told(turns(rota, berlin("2026-03-28 12:00"), berlin("2026-03-30 12:00"))) == [
        ("28 02:30+0100", "29 03:00+0200", "ana"),
        ("29 03:00+0200", "30 02:30+0200", "ben"),
        ("30 02:30+0200", "31 02:30+0200", "eva"),
    ]


def test_a_handoff_in_the_hour_that_comes_twice_comes_the_first_time() -> None:
    rota = Rota((layer(turn=DAY_MINUTES, handoff=150, start=date(2026, 10, 24)),))
    assert told(turns(rota, berlin("2026-10-24 12:00"), berlin("2026-10-25 12:00"))) == [
        ("24 02:30+0200", "25 02:30+0200", "ana"),
        ("25 02:30+0200", "26 02:30+0100", "ben"),
    ]
    # In the second pass, before 02:30 shows again, the handoff has been.
    assert name_at(rota, berlin("2026-10-25 02:10")) == "ana"
    assert name_at(rota, berlin("2026-10-25 02:10", fold=1)) == "ben"


def test_turns_of_hours_follow_the_wall_clock() -> None:
    rota = Rota((layer(turn=8 * 60, handoff=0, start=date(2026, 3, 29)),))
    found = turns(rota, berlin("2026-03-29 00:00"), berlin("2026-03-30 00:00"))
    assert told(found) == [
        ("29 00:00+0100", "29 08:00+0200", "ana"),
        ("29 08:00+0200", "29 16:00+0200", "ben"),
        ("29 16:00+0200", "30 00:00+0200", "eva"),
    ]
    assert found[0].end - found[0].start == timedelta(hours=7)
    # A turn of one hour that falls into the gap does not happen; the next person has the next hour.
    hourly = Rota((layer(turn=60, handoff=0, start=date(2026, 3, 29)),))
    assert told(turns(hourly, berlin("2026-03-29 01:00"), berlin("2026-03-29 04:00"))) == [
        ("29 01:00+0100", "29 03:00+0200", "ben"),
        ("29 03:00+0200", "29 04:00+0200", "ana"),
    ]


def test_restrictions_leave_gaps_and_lower_layers_show_through() -> None:
    nights = tuple([((22 * 60, 30 * 60),)] * 5 + [()] * 2)
    top = layer("top", "kim", weekly=nights)
    assert told(shifts(Rota((top,)), berlin("2026-03-05 12:00"), berlin("2026-03-07 12:00"))) == [
        ("05 12:00+0100", "05 22:00+0100", None),
        ("05 22:00+0100", "06 06:00+0100", "kim"),
        ("06 06:00+0100", "06 22:00+0100", None),
        ("06 22:00+0100", "07 06:00+0100", "kim"),  # Friday's night belongs to Friday.
        ("07 06:00+0100", "07 12:00+0100", None),
    ]
    both = Rota((layer(), top))
    assert told(shifts(both, berlin("2026-03-05 12:00"), berlin("2026-03-06 12:00"))) == [
        ("05 12:00+0100", "05 22:00+0100", "ana"),
        ("05 22:00+0100", "06 06:00+0100", "kim"),
        ("06 06:00+0100", "06 12:00+0100", "ana"),
    ]
    assert gaps(both, berlin("2026-03-05 12:00"), berlin("2026-03-06 12:00")) == []
    levels = on_call_at(both, berlin("2026-03-05 23:00")).duties
    assert [(NAMES[one.person or UUID(int=0)], one.source) for one in levels] == [
        ("kim", who("top")),
        ("ana", who("low")),
    ]


def test_an_override_takes_the_first_level_and_leaves_the_others() -> None:
    low, top = layer("low", "ana"), layer("top", "kim")
    at = berlin("2026-03-05 12:00")

    def levels(*overrides: Override, away: frozenset[UUID] = frozenset()) -> list[str | None]:
        found = on_call_at(Rota((low, top), overrides), at, away).duties
        return [NAMES[one.person] if one.person else None for one in found]

    def instead(name: str | None, key: str = "o") -> Override:
        return Override(who(key), at, at + timedelta(hours=1), who(name) if name else None)

    assert levels() == ["kim", "ana"]
    assert levels(instead("eva")) == ["eva", "ana"]
    assert levels(instead(None)) == [None, "ana"]
    # Who stands in is the one behind: nobody is told twice.
    assert levels(instead("ana")) == ["ana"]
    assert levels(instead("eva"), instead("ben", "p")) == ["ben", "ana"]
    # Someone who has left is no substitute: what lies below counts.
    assert levels(instead("eva"), instead("ben", "p"), away=frozenset({who("ben")})) == ["eva", "ana"]
    assert levels(instead("eva"), away=frozenset({who("eva")})) == ["kim", "ana"]
    # From its start to before its end.
    rota = Rota((low,), (instead("eva"),))
    assert [name_at(rota, at + timedelta(minutes=m)) for m in (-1, 0, 59, 60)] == ["ana", "eva", "eva", "ana"]
    # Nothing but an override: on call for its time.
    assert name_at(Rota((), (instead("eva"),)), at) == "eva"
    assert on_call_at(Rota(), at).duties == ()


def test_who_has_left_is_passed_over_and_named_and_the_others_keep_their_turns() -> None:
    rota, away = Rota((layer(),)), frozenset({who("ben")})
    found = shifts(rota, berlin("2026-03-02 09:00"), berlin("2026-03-23 09:00"), away)
    assert told(found) == [
        ("02 09:00+0100", "09 09:00+0100", "ana"),
        ("09 09:00+0100", "16 09:00+0100", None),
        ("16 09:00+0100", "23 09:00+0100", "eva"),
    ]
    assert [shift.skipped for shift in found] == [(), (who("ben"),), ()]
    backed = Rota((layer("deep", "kim"), layer()))
    assert name_at(backed, berlin("2026-03-10 12:00"), away=away) == "kim"


def test_turns_are_the_same_from_whichever_day_one_asks() -> None:
    rota = Rota(
        (layer(), layer("top", "kim ben", turn=DAY_MINUTES, weekly=tuple([((18 * 60, 22 * 60),)] * 7))),
        (Override(who("o"), berlin("2026-03-17 10:00"), berlin("2026-03-19 12:00"), who("kim")),),
    )
    whole = {(s.start, s.end, s.person) for s in turns(rota, berlin("2026-03-02 09:00"), berlin("2026-05-01 00:00"))}
    for day_number in range(3, 28):
        start = berlin(f"2026-03-{day_number:02} 13:37")
        for shift in turns(rota, start, start + timedelta(days=6, hours=5)):
            assert (shift.start, shift.end, shift.person) in whole


def test_later_layers_cover_from_their_first_day_on() -> None:
    rota = Rota((layer("low", "ana"), layer("top", "kim", start=date(2026, 3, 4))))
    assert told(shifts(rota, berlin("2026-03-03 00:00"), berlin("2026-03-05 00:00"))) == [
        ("03 00:00+0100", "04 09:00+0100", "ana"),
        ("04 09:00+0100", "05 00:00+0100", "kim"),
    ]


@st.composite
def rotas(draw: st.DrawFn) -> tuple[Rota, list[SlowLayer], list[tuple[datetime, datetime, str | None]], datetime]:
    """A rota of up to three layers in zones of their own around a day on which a clock changes, twice over."""
    zone_name = draw(st.sampled_from(sorted(CHANGES)))
    change = date.fromisoformat(draw(st.sampled_from(CHANGES[zone_name])))
    start = datetime.combine(change, datetime.min.time(), UTC) - timedelta(hours=draw(st.integers(12, 40)))
    layers, slow = [], []
    for number in range(draw(st.integers(0, 3))):
        name = zone_name if number == 0 else draw(st.sampled_from(sorted(CHANGES)))
        unit = draw(st.sampled_from([60, DAY_MINUTES, WEEK]))
        turn = unit * draw(st.integers(1, 13 if unit == 60 else 3))
        first = change - timedelta(days=draw(st.integers(-1, 20)))
        handoff = draw(st.integers(0, 95)) * 15
        people = draw(st.lists(st.sampled_from(sorted(NAMES.values())), min_size=1, max_size=4))
        weekly = draw(st.none() | st.lists(day(), min_size=7, max_size=7))
        layers.append(
            Layer(
                key=who(f"layer {number}"),
                zone=ZoneInfo(name),
                start=first,
                handoff=handoff,
                turn=turn,
                people=tuple(who(one) for one in people),
                weekly=None if weekly is None else tuple(tuple(one) for one in weekly),
            )
        )
        begin = datetime.combine(first, datetime.min.time()) + timedelta(minutes=handoff)
        slow.append(SlowLayer(ZoneInfo(name), begin, timedelta(minutes=turn), people, weekly))
    overrides = []
    for _ in range(draw(st.integers(0, 2))):
        begin = start + timedelta(minutes=15 * draw(st.integers(-40, 200)))
        finish = begin + timedelta(minutes=15 * draw(st.integers(1, 100)))
        overrides.append((begin, finish, draw(st.none() | st.sampled_from(sorted(NAMES.values())))))
    rota = Rota(
        tuple(layers),
        tuple(Override(who(f"override {n}"), a, b, who(p) if p else None) for n, (a, b, p) in enumerate(overrides)),
    )
    return rota, slow, overrides, start


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rotas())
def test_any_rota_is_what_walking_minute_by_minute_says(drawn: Any) -> None:
    rota, slow, overrides, start = drawn
    end = start + timedelta(hours=52)
    found = shifts(rota, start, end)
    assert (found[0].start, found[-1].end) == (start, end)
    assert all(one.end == other.start for one, other in pairwise(found))
    minutes = dict(walk(slow, overrides, start, end))
    for shift in found:
        assert shift.start < shift.end
        instant = shift.start
        while instant < shift.end:
            expected = minutes[instant]
            assert (NAMES[shift.person] if shift.person else None) == expected, instant
            instant += timedelta(minutes=1)
    for instant in list(minutes)[::37]:
        assert name_at(rota, instant) == minutes[instant]


@pytest.mark.parametrize("days", [1, 30, 92])
def test_gaps_are_the_shifts_without_anybody(days: int) -> None:
    rota = Rota((layer(weekly=tuple([((9 * 60, 17 * 60),)] * 5 + [()] * 2)),))
    start = berlin("2026-03-02 09:00")
    found = gaps(rota, start, start + timedelta(days=days))
    assert all(shift.person is None for shift in found)
    assert len(found) == {1: 1, 30: 22, 92: 66}[days]
