"""Service levels on pages: the clocks of a ticket beside it, and the page that explains them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_safe

from itsm.access.decide import allows, visible_to
from itsm.kernel.errors import NotFound
from itsm.sla.explain import Explanation, explain
from itsm.sla.models import Metric
from itsm.tickets.kinds import KINDS
from itsm.tickets.models import Ticket
from itsm.web.pages import TenantRequest, tenant_page

#: From this share of the target on, a clock asks for attention.
SOON = 75


@dataclass(frozen=True, slots=True)
class Chip:
    """A clock in a word, a colour and a time. ``style`` is a class of the stylesheet; the word says the same."""

    found: Explanation
    metric: str
    word: str
    style: str


def chip(found: Explanation) -> Chip:
    """What a reader has to know at a glance."""
    metric = str(Metric(found.clock.metric).label)
    left = found.left
    late = left is not None and left < 0
    spent = span(abs(left)) if left is not None else ""
    match found.verdict:
        case "breached":
            return Chip(found, metric, _("%(span)s overdue") % {"span": spent} if late else _("Overdue"), "late")
        case "running":
            if found.clock.due_at is None:
                return Chip(found, metric, _("Never due"), "soon")
            soon = found.percent is not None and found.percent >= SOON
            return Chip(found, metric, _("%(span)s left") % {"span": spent}, "soon" if soon else "fine")
        case "paused":
            return Chip(found, metric, _("Waiting, %(span)s left") % {"span": spent}, "waits")
        case "met":
            return Chip(found, metric, _("Met"), "kept")
        case "missed":
            return Chip(found, metric, _("Missed by %(span)s") % {"span": spent}, "late")
        case _:
            return Chip(found, metric, _("Canceled"), "ended")


def span(micros: int) -> str:
    """Business time in the reader's language: hours and minutes, or seconds when there is less than a minute."""
    seconds = micros // 1_000_000
    hours, minutes = divmod(seconds // 60, 60)
    if hours:
        return _("%(hours)d h %(minutes)02d min") % {"hours": hours, "minutes": minutes}
    return _("%(minutes)d min") % {"minutes": minutes} if minutes else _("%(seconds)d s") % {"seconds": seconds}


def section(request: TenantRequest, ticket: Ticket, level: int) -> SafeString:
    """The clocks beside a ticket, for those who work on it."""
    if not allows(request.actor, "ticket.read_internal", ticket):
        return SafeString("")
    chips = [chip(found) for found in explain(request.actor, ticket)]
    return render_to_string("itsm/sla/section.html", {"chips": chips, "ticket": ticket, "level": level}, request)


@tenant_page
@require_safe
def clocks_page(request: TenantRequest, number: str) -> HttpResponse:
    """Why each clock of a ticket stands where it stands."""
    ticket = visible_to(request.actor, Ticket.objects.all()).filter(number=number).first()
    if ticket is None:
        raise NotFound
    clocks = [_page(ticket.kind, found) for found in explain(request.actor, ticket)]
    return render(request, "itsm/sla/clocks.html", {"ticket": ticket, "clocks": clocks})


#: Why a clock began, ended or went on, where that is neither a reason for waiting nor said by the operation.
_BECAUSE = {
    "reply": gettext_noop("replied"),
    "started": gettext_noop("work has started"),
    "assigned": gettext_noop("assigned"),
    "resolved": gettext_noop("resolved"),
    "closed": gettext_noop("closed"),
    "canceled": gettext_noop("canceled"),
    "moved": gettext_noop("moved to another team"),
    "unmatched": gettext_noop("no policy means it any more"),
    "withdrawn": gettext_noop("the policy is out of use"),
}


def _because(kind: str, reason: str) -> str:
    """A reason in words; empty for one that says no more than the operation does."""
    if (known := KINDS.get(kind)) is not None and reason in known.waits:
        return str(known.waits[reason])
    return _(_BECAUSE[reason]) if reason in _BECAUSE else ""


def _exactly(micros: int) -> str:
    """A span of a table whose rows add up: to the second."""
    minutes, seconds = divmod(micros // 1_000_000, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def _page(kind: str, found: Explanation) -> dict[str, Any]:
    words = {"running": _("Runs"), "paused": _("Waits"), "stopped": _("Stopped")}
    operations = {
        "start": _("started"),
        "pause": _("paused"),
        "resume": _("resumed"),
        "retarget": _("another promise"),
        "calendar": _("other hours"),
        "stop": _("stopped"),
        "cancel": _("canceled"),
        "reopen": _("reopened"),
    }
    return {
        "chip": chip(found),
        "found": found,
        "elapsed": span(found.elapsed),
        "target": _("no end") if found.target is None else span(found.target),
        "intervals": [
            {
                "one": one,
                "kind": words[one.kind],
                "operation": operations[one.operation],
                "because": _because(kind, one.reason),
                "worked": _exactly(one.worked),
                "exact": f"{one.worked / 1_000_000:.6f}",
            }
            for one in found.intervals
        ],
        "sum": _exactly(sum(one.worked for one in found.intervals)),
        "exact": f"{sum(one.worked for one in found.intervals) / 1_000_000:.6f}",
    }
