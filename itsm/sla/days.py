"""Business days outside clocks: when something is due that no policy promises."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from itsm.sla.book import book, business_time, terms_of
from itsm.sla.calendar import from_micros, to_micros
from itsm.sla.models import Metric


def business_days_after(tenant_id: UUID, at: datetime, days: int) -> datetime:
    """The close of the ``days``-th working day (1 or more) after ``at``, in the hours that the desk promises resolutions in.

    A desk that promises none, or whose hours end before, works Monday to Friday.
    """
    found = book(tenant_id)
    for _, version_id in found.policies.get(Metric.RESOLUTION, ())[:1]:
        time = business_time(tenant_id, found.calendars[terms_of(tenant_id, version_id).calendar])
        close = time.deadline_in_days(to_micros(at), days)
        if close is not None:
            return from_micros(close)
    left = days
    while left:
        at += timedelta(days=1)
        left -= at.isoweekday() <= 5
    return at
