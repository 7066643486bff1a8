"""A list of tickets as a file: what the queue shows, for spreadsheets."""

from __future__ import annotations

import csv
import io
import tempfile
from datetime import UTC, datetime
from typing import IO, Any

from itsm.access.decide import authorize, kinds_within
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid
from itsm.reports.tables import harmless
from itsm.tickets.kinds import state_label
from itsm.tickets.placement import told_placement
from itsm.tickets.queue import QueueQuery, tickets_for

#: More rows than this are no file to look at any more; the API pages through everything.
ROWS_MAX = 100_000
_IN_MEMORY = 4 << 20
#: Column of the file → column of the query. Names are those of the API.
_COLUMNS = {
    "number": "number",
    "kind": "kind",
    "title": "title",
    "state": "state",
    "priority": "priority",
    "impact": "impact",
    "urgency": "urgency",
    "requester": "requester__name",
    "team": "team__name",
    "assignee": "assignee__name",
    "service": "service__name",
    "category": "category__name",
    "channel": "channel",
    "opened_at": "opened_at",
    "updated_at": "updated_at",
    "due_at": "due_at",
    "resolved_at": "resolved_at",
    "closed_at": "closed_at",
    "reassignment_count": "reassignment_count",
    "reopen_count": "reopen_count",
}


def tickets_csv(*, actor: Actor, query: QueueQuery) -> IO[bytes]:
    """All tickets that the query means, by number, as CSV: UTF-8 with a byte order mark, times in UTC, no cell a formula.

    It is written to the end here, so that a slow reader keeps no transaction open. Raises Forbidden, and Invalid when
    there are more than ROWS_MAX.
    """
    authorize(actor, "ticket.export")
    tickets = tickets_for(actor, query)
    if (kinds := kinds_within(actor, "ticket.export")) is not None:
        tickets = tickets.filter(kind__in=sorted(kinds))
    # The others of one's own are seen as by a requester, who exports nothing.
    tickets = told_placement(actor, tickets)
    if tickets[ROWS_MAX : ROWS_MAX + 1].exists():
        raise Invalid.one(
            "view",
            "too_many",
            f"A file holds at most {ROWS_MAX} tickets. Filter more, or page through the API.",
            limit=ROWS_MAX,
        )
    names = list(_COLUMNS)
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - whoever sends it closes it
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    text.write("\ufeff")
    writer = csv.writer(text)
    writer.writerow(names)
    for values in tickets.order_by("number").values_list(*_COLUMNS.values()).iterator(1000):
        row = dict(zip(names, values, strict=True))
        row["state"] = state_label(row["kind"], row["state"])
        writer.writerow([_cell(value) for value in row.values()])
    text.detach()
    file.seek(0)
    return file


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return value.astimezone(UTC).isoformat(timespec="seconds") if isinstance(value, datetime) else harmless(value)
