"""What a person wants to be told, how and when, with the tenant's defaults behind it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import Q

from itsm.notify.models import Digest, Preference
from itsm.notify.topics import Topic

Switches = Mapping[str, Mapping[str, bool]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """Preferences in force. ``own`` are the person's switches, ``common`` the tenant's."""

    own: Switches = field(default_factory=dict)
    common: Switches = field(default_factory=dict)
    quiet_start: time | None = None
    quiet_end: time | None = None
    pages_in_quiet: bool = True
    digest: str = Digest.OFF
    digest_at: time = time(8, 0)

    def wants(self, topic: Topic, channel: str) -> bool:
        """Whether this topic comes through this channel."""
        for switches in (self.own, self.common):
            found = switches.get(topic.key, {}).get(channel)
            if found is not None:
                return found
        return topic.on(channel)

    def quiet_until(self, now: datetime, zone: str) -> datetime | None:
        """The end of the quiet hours that ``now`` lies in; None outside them."""
        start, end = self.quiet_start, self.quiet_end
        if start is None or end is None or start == end:
            return None
        local = now.astimezone(zone_of(zone))
        clock = local.time().replace(tzinfo=None)
        if start < end:
            inside, days = start <= clock < end, 0
        else:  # over midnight
            inside, days = clock >= start or clock < end, 1 if clock >= start else 0
        return at(local, end, days) if inside else None

    def next_digest(self, now: datetime, zone: str) -> datetime:
        """When the next digest leaves: at the full hour, or at the person's time of day."""
        local = now.astimezone(zone_of(zone))
        if self.digest == Digest.HOURLY:
            # In UTC, so that an hour is an hour on the day when clocks change.
            return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        today = at(local, self.digest_at, 0)
        return today if today > now else at(local, self.digest_at, 1)


def zone_of(name: str) -> ZoneInfo:
    """The zone, or UTC for one that this machine does not know."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def at(local: datetime, clock: time, days: int) -> datetime:
    """``clock`` on the local day, or ``days`` later, as an instant in UTC."""
    day = local.date() + timedelta(days=days)
    return datetime.combine(day, clock, local.tzinfo).astimezone(UTC)


def wishes_of_person(person_id: UUID) -> Wishes:
    """What one person wants. Call it inside the tenant."""
    return wishes_of([person_id])[person_id]


def wishes_of(people: Collection[UUID]) -> dict[UUID, Wishes]:
    """What these people want, by id; everybody has an answer. Call it inside the tenant."""
    rows: dict[UUID | None, Preference] = {
        row.person_id: row for row in Preference.objects.filter(Q(person_id__in=people) | Q(person__isnull=True))
    }
    common = rows.get(None)
    return {person: of_rows(rows.get(person), common) for person in people}


def of_rows(own: Preference | None, common: Preference | None) -> Wishes:
    """One person's row over the tenant's; times and digest come from one row as a whole."""
    row = own or common
    rest: dict[str, Any] = {}
    if row is not None:
        rest = {
            "quiet_start": row.quiet_start,
            "quiet_end": row.quiet_end,
            "pages_in_quiet": row.pages_in_quiet,
            "digest": row.digest,
            "digest_at": row.digest_at,
        }
    return Wishes(own=own.topics if own else {}, common=common.topics if common else {}, **rest)
