"""Business time the slow way: minute by minute, by asking what each wall clock shows. Shares no code with the product."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


@cache
def _end_of_repeated(wall: datetime, zone: ZoneInfo) -> datetime:
    """The last minute of the hour that comes twice, as the wall shows it."""
    while wall.replace(tzinfo=zone, fold=0).utcoffset() != wall.replace(tzinfo=zone, fold=1).utcoffset():
        wall += MINUTE
    return wall - MINUTE


def is_open(
    instant: datetime,
    zone: ZoneInfo,
    weekly: list[list[tuple[int, int]]],
    exceptions: dict[date, list[tuple[int, int]]],
) -> bool:
    """Whether the minute that begins at ``instant`` (UTC) is worked.

    In the second pass of an hour that comes twice, everything that starts or ends in that hour has done so already.
    """
    local = instant.astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    if local.fold:
        wall = _end_of_repeated(wall, zone)
    for back in (0, 1):
        day = wall.date() - timedelta(days=back)
        minute = (wall - datetime.combine(day, datetime.min.time())) // MINUTE
        shifts = exceptions[day] if day in exceptions else weekly[day.weekday()]
        if any(start <= minute < end for start, end in shifts):
            return True
    return False


def deadline(
    start: datetime,
    minutes: int,
    zone: ZoneInfo,
    weekly: list[list[tuple[int, int]]],
    exceptions: dict[date, list[tuple[int, int]]],
    pauses: list[tuple[datetime, datetime]],
    until: datetime,
) -> datetime | None:
    """The end of the ``minutes``-th minute worked since ``start``; None when it is not before ``until``."""
    instant, left = start.astimezone(UTC), minutes
    while left and instant < until:
        if is_open(instant, zone, weekly, exceptions) and not any(a <= instant < b for a, b in pauses):
            left -= 1
        instant += MINUTE
    return None if left else instant
