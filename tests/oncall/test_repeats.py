"""Repetition rules against dateutil, which reads all of RFC 5545 and stops at nothing."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from dateutil import rrule
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from itsm.oncall.repeats import Rule, Unusable, read_rule

FREQUENCIES = {"DAILY": rrule.DAILY, "WEEKLY": rrule.WEEKLY, "MONTHLY": rrule.MONTHLY, "YEARLY": rrule.YEARLY}
DAYS = (rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR, rrule.SA, rrule.SU)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    frequency = draw(st.sampled_from(sorted(FREQUENCIES)))
    months = draw(st.lists(st.integers(1, 12), max_size=3, unique=True))
    counted = frequency == "MONTHLY" or (frequency == "YEARLY" and bool(months))
    # All of them counted or none: dateutil takes a mixture for days that are both, the RFC for days that are either.
    counted = counted and draw(st.booleans())
    places = st.sampled_from([1, 2, -1, 5]) if counted else st.just(0)
    weekdays = draw(st.lists(st.tuples(places, st.integers(0, 6)), max_size=3, unique=True))
    month_days = (
        [] if frequency == "WEEKLY" else draw(st.lists(st.sampled_from([1, 15, 28, -1, -28]), max_size=2, unique=True))
    )
    return Rule(
        frequency,
        draw(st.integers(1, 5)),
        draw(st.none() | st.integers(1, 40)),
        tuple(weekdays),
        tuple(month_days),
        tuple(months),
        draw(st.sampled_from([0, 6])),
    )


@settings(max_examples=80, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(rules(), st.dates(date(2024, 1, 1), date(2026, 12, 31)), st.integers(0, 500))
def test_the_days_are_those_of_dateutil(rule: Rule, first: date, later: int) -> None:
    since, last = first + timedelta(days=later), first + timedelta(days=later + 200)
    theirs = rrule.rrule(
        FREQUENCIES[rule.frequency],
        dtstart=datetime.combine(first, datetime.min.time()),
        interval=rule.interval,
        count=rule.count,
        byweekday=[DAYS[number](place) if place else DAYS[number] for place, number in rule.weekdays] or None,
        bymonthday=list(rule.month_days) or None,
        bymonth=list(rule.months) or None,
        wkst=rule.week_start,
    )
    wanted = []
    for one in theirs:
        if one.date() > last:
            break
        if one.date() >= since:
            wanted.append(one.date())
    assert list(rule.days(first, since, last)) == wanted


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"FREQ": ["SECONDLY"]}, "SECONDLY"),
        ({"FREQ": ["HOURLY"]}, "HOURLY"),
        ({}, "without a FREQ"),
        ({"FREQ": ["DAILY"], "INTERVAL": [0]}, "INTERVAL"),
        ({"FREQ": ["DAILY"], "INTERVAL": ["x"]}, "INTERVAL"),
        ({"FREQ": ["DAILY"], "COUNT": [-1]}, "COUNT"),
        ({"FREQ": ["DAILY"], "COUNT": [2], "UNTIL": [date(2026, 1, 1)]}, "both"),
        ({"FREQ": ["YEARLY"], "BYWEEKNO": [5]}, "BYWEEKNO"),
        ({"FREQ": ["MONTHLY"], "BYSETPOS": [1]}, "BYSETPOS"),
        ({"FREQ": ["WEEKLY"], "BYDAY": ["1MO"]}, "only a month"),
        ({"FREQ": ["WEEKLY"], "BYDAY": ["XX"]}, "no day"),
        ({"FREQ": ["WEEKLY"], "BYMONTHDAY": [3]}, "weekly by days of the month"),
        ({"FREQ": ["MONTHLY"], "BYMONTHDAY": [32]}, "BYMONTHDAY"),
        ({"FREQ": ["DAILY"], "BYMONTH": [13]}, "BYMONTH"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_shifts_have_no_use_for_is_refused(parts: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        read_rule(parts)


def test_a_rule_that_never_comes_true_costs_only_the_days_that_are_asked_about() -> None:
    never = read_rule({"FREQ": ["DAILY"], "BYMONTH": [2], "BYMONTHDAY": [30]})
    begun = time.process_time()
    assert list(never.days(date(1990, 1, 1), date(2026, 1, 1), date(2026, 4, 1))) == []
    assert time.process_time() - begun < 0.1
