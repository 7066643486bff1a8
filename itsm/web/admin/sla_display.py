"""How hours and terms look to a person: a week, the days that differ, targets as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.utils import formats
from django.utils.dates import WEEKDAYS
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from itsm.kernel import clock
from itsm.sla.calendar import Hours, Shift
from itsm.sla.calendar_file import write_shift
from itsm.sla.models import SlaCalendar
from itsm.sla.terms import Condition, Terms, write_threshold
from itsm.tenancy.models import Organisation, Team
from itsm.tickets.models import Category, Service

_NEXT = 15


def shifts_text(shifts: Sequence[Shift]) -> str:
    """``09:00–12:00, 13:00–17:00``, or that nobody works."""
    if shifts == ((0, 1440),):
        return _("all day")
    return ", ".join("–".join(write_shift(shift)) for shift in shifts) or _("closed")


def week(hours: Hours) -> SafeString:
    """The usual hours, day by day."""
    rows = ((str(WEEKDAYS[day]), shifts_text(shifts)) for day, shifts in enumerate(hours.weekly))
    return table((_("Day"), _("Hours")), rows)


def next_exceptions(hours: Hours, labels: dict[str, str]) -> SafeString:
    """The days from today on that are not as usual."""
    today = clock.now().astimezone(hours.zone).date()
    days = sorted(day for day in hours.exceptions if day >= today)
    rows = [
        (
            formats.date_format(day, "DATE_FORMAT"),
            str(WEEKDAYS[day.weekday()]),
            shifts_text(hours.exceptions[day]),
            labels.get(day.isoformat(), ""),
        )
        for day in days[:_NEXT]
    ]
    if not rows:
        return SafeString(_("None."))
    more = len(days) - len(rows)
    shown = table((_("Date"), _("Day"), _("Hours"), _("Name")), rows)
    return format_html("{}<p>{}</p>", shown, _("And %(count)d more.") % {"count": more}) if more else shown


def targets(terms: Terms) -> SafeString:
    """What the terms promise, in the order in which it is asked."""
    names = _Names(
        [terms.applies, *(row.when for row in terms.rows)], [terms.calendar, *(r.calendar for r in terms.rows)]
    )
    rows = [
        (str(number), names.condition(row.when), row.promise, names.calendars.get(row.calendar or terms.calendar, "?"))
        for number, row in enumerate(terms.rows, start=1)
    ]
    said = [
        (_("Means"), names.condition(terms.applies)),
        (_("Stops at"), ", ".join(sorted(terms.stop))),
        (_("Waits while"), ", ".join(sorted(terms.pause)) or _("never")),
        (_("Thresholds"), ", ".join(write_threshold(one) for one in terms.thresholds)),
    ]
    return format_html("{}{}", table((_("No."), _("For"), _("Target"), _("Hours")), rows), table((), said))


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> SafeString:
    """A plain table."""
    heads = format_html_join("", '<th scope="col">{}</th>', ((one,) for one in head))
    lines = ((format_html_join("", "<td>{}</td>", ((cell,) for cell in row)),) for row in rows)
    top = format_html("<thead><tr>{}</tr></thead>", heads) if head else SafeString("")
    return format_html("<table>{}<tbody>{}</tbody></table>", top, format_html_join("", "<tr>{}</tr>", lines))


class _Names:
    """What ids in conditions are called."""

    def __init__(self, conditions: Sequence[Condition], calendars: Iterable[UUID | None]) -> None:
        models: dict[str, Any] = {"service": Service, "category": Category, "organisation": Organisation, "team": Team}
        self._names: dict[str, str] = {}
        for what, model in models.items():
            ids = {value for condition in conditions for value in condition.get(what, ())}
            if ids:
                self._names |= {
                    str(pk): name for pk, name in model.objects.filter(pk__in=ids).values_list("pk", "name")
                }
        wanted = {pk for pk in calendars if pk is not None}
        self.calendars = dict(SlaCalendar.objects.filter(pk__in=wanted).values_list("pk", "name"))

    def condition(self, condition: Condition) -> str:
        parts = (
            f"{name} {', '.join(sorted(self._names.get(value, value) for value in values))}"
            for name, values in condition.items()
        )
        return "; ".join(parts) or _("everything")
