"""Deadlines: the cases that go wrong elsewhere, with the answers that people expect."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from itsm.kernel.errors import Invalid
from itsm.sla.calendar import SECOND, BusinessTime, from_micros, instant_of, to_micros
from itsm.sla.calendar_file import DAYS, read_hours, write_hours
from itsm.sla.targets import read_instant, read_pause, read_target

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = [["09:00", "17:00"]]


def calendar(
    shifts: list[list[str]] = OFFICE, *, days: int = 5, zone: str = "Europe/Berlin", **more: Any
) -> BusinessTime:
    return BusinessTime(read_hours({"timezone": zone, "weekly": dict.fromkeys(DAYS[:days], shifts), **more}))


def always(zone: str = "Europe/Berlin") -> BusinessTime:
    return BusinessTime(read_hours({"timezone": zone, "always": True}))


def due(time: BusinessTime, at: str, target: str, *pauses: str) -> str:
    zone = time.hours.zone
    found = read_target(target).deadline(time, read_instant("at", at, zone), [read_pause(p, zone) for p in pauses])
    return "never" if found is None else from_micros(found, zone).isoformat()


NIGHT = calendar([["22:00", "06:00"]], days=7)
CASES = {
    "over the evening": (calendar(), "2026-11-23T16:00", "4h", "2026-11-24T12:00:00+01:00"),
    "landing on close is close": (calendar(), "2026-11-27T13:00", "4h", "2026-11-27T17:00:00+01:00"),
    "from closing time": (calendar(), "2026-11-27T17:00", "4h", "2026-11-30T13:00:00+01:00"),
    "from a Sunday": (calendar(), "2026-11-29T12:00", "4h", "2026-11-30T13:00:00+01:00"),
    "24x7 into summer time": (always(), "2026-03-28T12:00", "24h", "2026-03-29T13:00:00+02:00"),
    "24x7 out of summer time": (always(), "2026-10-24T12:00", "24h", "2026-10-25T11:00:00+01:00"),
    "a night of 7 hours": (NIGHT, "2026-03-28T22:00", "8h", "2026-03-29T23:00:00+02:00"),
    "a night of 9 hours": (NIGHT, "2026-10-24T22:00", "9h", "2026-10-25T06:00:00+01:00"),
    "first pass of the repeated hour": (always(), "2026-10-25T02:30+02:00", "1h", "2026-10-25T02:30:00+01:00"),
    "second pass of the repeated hour": (always(), "2026-10-25T02:30+01:00", "1h", "2026-10-25T03:30:00+01:00"),
    "a holiday on Friday": (
        calendar(exceptions={"2026-12-25": []}), "2026-12-24T16:00", "4h", "2026-12-28T12:00:00+01:00",
    ),
    "half a day": (
        calendar(exceptions={"2026-12-24": [["09:00", "13:00"]], "2026-12-25": []}),
        "2026-12-24T10:00", "4h", "2026-12-28T10:00:00+01:00",
    ),
    "a holiday on Saturday changes nothing": (
        calendar(exceptions={"2026-12-26": []}), "2026-12-23T16:00", "2h", "2026-12-24T10:00:00+01:00",
    ),
    "an extra Saturday": (
        calendar(exceptions={"2026-11-28": [["09:00", "13:00"]]}), "2026-11-27T16:00", "4h", "2026-11-28T12:00:00+01:00",
    ),
    "lunch": (
        calendar([["09:00", "12:00"], ["13:00", "17:00"]]), "2026-11-23T11:00", "4h", "2026-11-23T16:00:00+01:00",
    ),
    "nothing ends where it starts": (calendar(), "2026-11-28T12:00", "0m", "2026-11-28T12:00:00+01:00"),
    "opened elsewhere": (calendar(), "2026-11-23T16:30-05:00", "4h", "2026-11-24T13:00:00+01:00"),
    "24x7 loses no minute": (always(), "2026-11-23T00:00", "240h", "2026-12-03T00:00:00+01:00"),
    "a shift that starts in the gap": (
        calendar([["02:30", "04:00"]], days=7), "2026-03-29T00:00", "30m", "2026-03-29T03:30:00+02:00",
    ),
    "a shift inside the gap is none": (
        calendar([["02:10", "02:50"]], days=7), "2026-03-29T00:00", "40m", "2026-03-30T02:50:00+02:00",
    ),
    "a night shift ends on the holiday after it": (
        calendar([["22:00", "06:00"]], days=7, exceptions={"2026-12-25": []}),
        "2026-12-24T22:00", "9h", "2026-12-26T23:00:00+01:00",
    ),
    "half an hour of summer time": (
        calendar([["01:00", "03:00"]], days=7, zone="Australia/Lord_Howe"),
        "2026-04-05T00:00", "2h30m", "2026-04-05T03:00:00+10:30",
    ),
    "a day that never was": (
        calendar(zone="Pacific/Apia"), "2011-12-29T16:00-10:00", "4h", "2012-01-02T12:00:00+14:00",
    ),
    "two business days": (calendar(), "2026-11-26T10:00", "2bd", "2026-11-30T17:00:00+01:00"),
    "a business day from a Saturday": (calendar(), "2026-11-28T10:00", "1bd", "2026-11-30T17:00:00+01:00"),
    "a business day over a holiday": (
        calendar(exceptions={"2026-12-25": []}), "2026-12-24T10:00", "1bd", "2026-12-28T17:00:00+01:00",
    ),
    "a night counts for its first day": (NIGHT, "2026-11-23T10:00", "1bd", "2026-11-25T06:00:00+01:00"),
    "years away": (always(), "2026-01-01T00:00Z", "87600h", "2035-12-30T01:00:00+01:00"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_cases(name: str) -> None:
    time, at, target, expected = CASES[name]
    assert due(time, at, target) == expected


@pytest.mark.parametrize(
    ("pauses", "expected"),
    [
        (["2026-11-23T11:00/2026-11-23T12:00"], "2026-11-24T11:00:00+01:00"),
        (["2026-11-23T18:00/2026-11-23T23:00"], "2026-11-24T10:00:00+01:00"),
        (["2026-11-23T18:00/2026-11-24T10:00"], "2026-11-24T11:00:00+01:00"),
        (["2026-11-24T10:00/"], "2026-11-24T10:00:00+01:00"),
        (["2026-11-24T09:59/"], "never"),
        (["2026-11-23T08:00/2026-11-23T09:00"], "2026-11-24T10:00:00+01:00"),
        (["2026-11-23T09:00/2026-11-23T11:00"], "2026-11-24T11:00:00+01:00"),
        (["2026-11-23T12:00/2026-11-23T14:00", "2026-11-23T11:00/2026-11-23T13:00"], "2026-11-24T13:00:00+01:00"),
        (["2026-11-23T11:00/2026-11-23T11:00"], "2026-11-24T10:00:00+01:00"),
    ],
)
def test_pauses_do_not_count_inside_or_outside_hours(pauses: list[str], expected: str) -> None:
    """Eight hours from Monday 10:00: without a pause, Tuesday 10:00."""
    assert due(calendar(), "2026-11-23T10:00", "8h", *pauses) == expected


def test_a_pause_moves_business_days_too() -> None:
    assert due(calendar(), "2026-11-23T10:00", "2bd") == "2026-11-25T17:00:00+01:00"
    assert (
        due(calendar(), "2026-11-23T10:00", "2bd", "2026-11-24T10:00/2026-11-24T12:00") == "2026-11-26T11:00:00+01:00"
    )


def test_a_calendar_that_never_opens_answers_never() -> None:
    closed = BusinessTime(read_hours({"timezone": "UTC", "weekly": {}}))
    assert (due(closed, "2026-11-23T10:00", "1s"), due(closed, "2026-11-23T10:00", "1bd")) == ("never", "never")
    assert due(closed, "2026-11-23T10:00", "0s") == "2026-11-23T10:00:00+00:00"
    once = BusinessTime(
        read_hours({"timezone": "UTC", "weekly": {}, "exceptions": {"2027-05-01": [["10:00", "12:00"]]}})
    )
    assert due(once, "2026-11-23T10:00", "2h") == "2027-05-01T12:00:00+00:00"
    assert due(once, "2026-11-23T10:00", "2h1s") == "never"
    assert due(once, "2027-05-01T12:00", "1s") == "never"
    assert (due(once, "2026-11-23T10:00", "1bd"), due(once, "2026-11-23T10:00", "2bd")) == (
        "2027-05-01T12:00:00+00:00",
        "never",
    )


def test_elapsed_and_next_opening() -> None:
    time, zone = calendar(), BERLIN

    def at(text: str) -> int:
        return read_instant("at", text, zone)

    assert time.elapsed(at("2026-11-23T16:00"), at("2026-11-24T12:00")) == 4 * 3600 * SECOND
    assert time.elapsed(at("2026-11-24T12:00"), at("2026-11-23T16:00")) == 0
    assert time.elapsed(at("2026-11-27T18:00"), at("2026-11-30T08:00")) == 0
    assert time.next_open(at("2026-11-23T12:00")) == at("2026-11-23T12:00")
    assert time.next_open(at("2026-11-23T09:00")) == at("2026-11-23T09:00")
    assert time.next_open(at("2026-11-23T17:00")) == at("2026-11-24T09:00")
    # The window grows to both sides, and old answers stay.
    assert time.elapsed(at("1999-12-31T16:00"), at("2000-01-03T10:00")) == 2 * 3600 * SECOND
    assert time.elapsed(at("2080-01-01T16:00"), at("2080-01-02T10:00")) == 2 * 3600 * SECOND
    assert time.elapsed(at("2026-11-23T16:00"), at("2026-11-24T12:00")) == 4 * 3600 * SECOND


def test_wall_times_that_come_twice_or_not_at_all() -> None:
    day = date(2026, 10, 25)
    assert instant_of(day, 150, BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    gap = date(2026, 3, 29)
    assert [instant_of(gap, minute, BERLIN).minute for minute in (119, 120, 150, 179, 180)] == [59, 0, 0, 0, 0]
    assert instant_of(gap, 150, BERLIN) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "place", "code"),
    [
        ([], "/", "not_an_object"),
        ({"weekly": {}}, "/timezone", "unknown_zone"),
        ({"timezone": "Europe/Nowhere"}, "/timezone", "unknown_zone"),
        ({"timezone": "../../etc/passwd"}, "/timezone", "unknown_zone"),
        ({"timezone": "Europe"}, "/timezone", "unknown_zone"),
        ({"timezone": "UTC\x00"}, "/timezone", "unknown_zone"),
        ({"timezone": "UTC", "weekend": {}}, "/weekend", "unknown_member"),
        ({"timezone": "UTC", "weekly": []}, "/weekly", "not_an_object"),
        ({"timezone": "UTC", "weekly": {"Monday": OFFICE}}, "/weekly/Monday", "unknown_day"),
        ({"timezone": "UTC", "weekly": {"mon": OFFICE}, "always": True}, "/always", "both"),
        ({"timezone": "UTC", "always": "yes"}, "/always", "not_a_boolean"),
        ({"timezone": "UTC", "weekly": {"mon": "09:00-17:00"}}, "/weekly/mon", "not_a_list"),
        ({"timezone": "UTC", "weekly": {"mon": [["09:00"]]}}, "/weekly/mon/0", "not_a_shift"),
        ({"timezone": "UTC", "weekly": {"mon": [["9:00", "17:00"]]}}, "/weekly/mon/0", "bad_time"),
        ({"timezone": "UTC", "weekly": {"mon": [["09:00", "24:01"]]}}, "/weekly/mon/0", "bad_time"),
        ({"timezone": "UTC", "weekly": {"mon": [["24:00", "09:00"]]}}, "/weekly/mon/0", "bad_time"),
        ({"timezone": "UTC", "weekly": {"mon": [[9, 17]]}}, "/weekly/mon/0", "bad_time"),
        ({"timezone": "UTC", "weekly": {"mon": [["09:00", "09:00"]]}}, "/weekly/mon/0", "no_length"),
        ({"timezone": "UTC", "weekly": {"mon": [["09:00", "12:00"], ["11:00", "17:00"]]}}, "/weekly/mon/1", "overlap"),
        ({"timezone": "UTC", "weekly": {"mon": [["22:00", "06:00"]], "tue": [["05:00", "9:00"]]}}, "/weekly/tue/0", "bad_time"),
        ({"timezone": "UTC", "weekly": {"mon": [["22:00", "06:00"]], "tue": [["05:00", "09:00"]]}}, "/weekly/tue", "overlap"),
        ({"timezone": "UTC", "weekly": {"mon": [["05:00", "09:00"]], "sun": [["22:00", "06:00"]]}}, "/weekly/mon", "overlap"),
        ({"timezone": "UTC", "exceptions": []}, "/exceptions", "not_an_object"),
        ({"timezone": "UTC", "exceptions": {"2026-02-30": []}}, "/exceptions/2026-02-30", "bad_date"),
        ({"timezone": "UTC", "exceptions": {"20261225": []}}, "/exceptions/20261225", "bad_date"),
        ({"timezone": "UTC", "exceptions": {"9999-12-25": []}}, "/exceptions/9999-12-25", "bad_date"),
        ({"timezone": "UTC", "exceptions": {"2026-12-25": None}}, "/exceptions/2026-12-25", "not_a_list"),
    ],
)  # fmt: skip
def test_calendars_that_are_none(data: Any, place: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_hours(data)
    assert (refused.value.problems[0].pointer, refused.value.problems[0].code) == (place, code)


def test_reading_what_was_written_gives_the_same_hours() -> None:
    given = {
        "timezone": "Asia/Kolkata",
        "weekly": {"mon": [["09:00", "12:00"], ["13:00", "24:00"]], "fri": [["22:00", "06:30"]]},
        "exceptions": {"2026-12-25": [], "2026-12-24": [["09:00", "13:00"]]},
    }
    assert write_hours(read_hours(given)) == given
    around = {"timezone": "UTC", "always": True, "exceptions": {"2026-12-25": []}}
    assert write_hours(read_hours(around)) == around


@pytest.mark.parametrize(
    "text", ["", "4", "h", "-4h", "4 hours", "1d", "0bd", "3661bd", "99999999h", "4h4h", "1.5h", "٤h"]
)
def test_targets_that_are_none(text: str) -> None:
    with pytest.raises(Invalid):
        read_target(text)


def test_an_instant_is_counted_in_whole_microseconds() -> None:
    start = datetime(2026, 11, 23, 16, 59, 59, 999_999, tzinfo=BERLIN)
    found = calendar().deadline(to_micros(start), 2)
    assert found is not None
    assert from_micros(found, BERLIN) == datetime(2026, 11, 24, 9, 0, 0, 1, tzinfo=BERLIN)
