"""How targets and pauses are written: ``4h``, ``1h30m``, ``90s`` of business time, or ``2bd`` for business days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from itsm.kernel.errors import Invalid
from itsm.sla.calendar import SECOND, BusinessTime, to_micros

#: Ten years of round-the-clock time, and as many working days: more is a typing error, not a promise.
SECONDS_MAX = 10 * 366 * 86_400
DAYS_MAX = 10 * 366
_PARTS = re.compile(r"\A(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?\Z")
_DAYS = re.compile(r"\A([0-9]{1,6})bd\Z")


@dataclass(frozen=True, slots=True)
class Target:
    """What is promised: seconds of business time, or a number of business days (then ``seconds`` is 0)."""

    seconds: int = 0
    days: int = 0

    def deadline(
        self, time: BusinessTime, start: int, pauses: list[tuple[int, int | None]] | None = None
    ) -> int | None:
        """The deadline in microseconds since 1970; None when it is never, or while a pause lasts."""
        work = self.work(time, start)
        return None if work is None else time.with_pauses(start, work, pauses or [])

    def work(self, time: BusinessTime, start: int) -> int | None:
        """Microseconds of business time. Days are those until the close of the last one; None when there are not so many."""
        if not self.days:
            return self.seconds * SECOND
        close = time.deadline_in_days(start, self.days)
        return None if close is None else time.elapsed(start, close)


def read_target(text: str) -> Target:
    """The target that ``text`` means. Raises Invalid for anything else, for less than nothing and for more than ten years."""
    clean = text.strip().lower().replace(" ", "")
    if days := _DAYS.match(clean):
        count = int(days[1])
        if not 1 <= count <= DAYS_MAX:
            raise Invalid.one("target", "out_of_range", f"A target has 1 to {DAYS_MAX} business days.")
        return Target(days=count)
    parts = _PARTS.match(clean)
    if not clean or parts is None:
        raise Invalid.one("target", "bad_target", "Write a target as 4h, 1h30m, 90s, or 2bd for business days.")
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if total > SECONDS_MAX:
        raise Invalid.one("target", "out_of_range", "A target is at most ten years.")
    return Target(seconds=total)


def read_instant(field: str, text: str, zone: ZoneInfo) -> int:
    """An ISO 8601 time as microseconds since 1970; without an offset it is wall time of ``zone``. Raises Invalid."""
    try:
        instant = datetime.fromisoformat(text.strip())
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=zone)
        if not 1972 <= instant.astimezone(UTC).year <= 2150:
            raise ValueError
    except (ValueError, OverflowError):
        raise Invalid.one(
            field, "bad_time", f"{field} must be an ISO 8601 time such as 2026-11-23T16:00+01:00, from 1972 to 2150."
        ) from None
    return to_micros(instant)


def read_pause(text: str, zone: ZoneInfo) -> tuple[int, int | None]:
    """``FROM/TO``, or ``FROM/`` for one that has not ended. Raises Invalid."""
    begin, slash, end = text.partition("/")
    if not slash:
        raise Invalid.one("pause", "bad_pause", "Write a pause as FROM/TO with ISO 8601 times; TO may be left out.")
    first = read_instant("pause", begin, zone)
    last = read_instant("pause", end, zone) if end.strip() else None
    if last is not None and last < first:
        raise Invalid.one("pause", "reversed", "A pause must not end before it begins.")
    return first, last
