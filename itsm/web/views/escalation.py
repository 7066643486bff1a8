"""Escalations on pages: beside their ticket, with the button that stops them, and starting one by hand."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_POST

from itsm.access.decide import allows, visible_to
from itsm.escalation.commands import acknowledge_escalation, start_escalation
from itsm.escalation.history import Taken, escalations
from itsm.escalation.models import EscalationPolicy, RunState
from itsm.escalation.telling import instead
from itsm.kernel.errors import Invalid, NotFound
from itsm.kernel.ids import is_uuid
from itsm.tickets.models import Ticket
from itsm.web.pages import TenantRequest, refused, tenant_page
from itsm.web.panes import list_url
from itsm.web.refusals import refusal_text
from itsm.web.templatetags.itsm_web import page

#: Runs that a page shows; the API tells all of them.
_SHOWN = 5
_STYLES = {
    RunState.RUNNING: "late",
    RunState.ACKNOWLEDGED: "kept",
    RunState.EXHAUSTED: "late",
    RunState.CANCELLED: "ended",
}
#: Why a run ended, in words.
REASONS = {
    "taken": gettext_noop("taken"),
    "started": gettext_noop("work has started"),
    "held": gettext_noop("on hold"),
    "resumed": gettext_noop("work goes on"),
    "resolved": gettext_noop("resolved"),
    "closed": gettext_noop("closed"),
    "canceled": gettext_noop("canceled"),
    "merged": gettext_noop("merged"),
    "policy_inactive": gettext_noop("the policy is out of use"),
    "major": gettext_noop("part of a major incident"),
}


def section(request: TenantRequest, ticket: Ticket, level: int) -> SafeString:
    """The escalations beside a ticket, for those who work on it."""
    actor = request.actor
    if not allows(actor, "ticket.read_internal", ticket):
        return SafeString("")
    found = escalations(actor, ticket, limit=_SHOWN)
    running = {one.run.policy_id for one in found if one.run.ended_at is None}
    policies: list[EscalationPolicy] = []
    if ticket.is_open and allows(actor, "escalation.start", ticket):
        active = EscalationPolicy.objects.filter(tenant_id=actor.tenant_id, is_active=True)
        policies = list(active.exclude(pk__in=running).order_by("name")[:100])
    context = {
        "runs": [_shown(one) for one in found],
        "may_acknowledge": any(one.is_running for one in found) and allows(actor, "escalation.acknowledge", ticket),
        "policies": policies,
        "ticket": ticket,
        "level": level,
    }
    return render_to_string("itsm/escalation/section.html", context, request)


def _shown(one: Any) -> dict[str, Any]:
    return {
        "one": one,
        "run": one.run,
        "word": one.run.get_state_display(),
        "style": _STYLES[RunState(one.run.state)],
        "reason": _(REASONS[one.run.reason]) if one.run.reason in REASONS else "",
        "steps": [_step(taken) for taken in one.steps],
    }


def _step(taken: Taken) -> dict[str, Any]:
    return {"taken": taken, "instead": instead(taken.payload), "exhausted": taken.payload.get("exhausted")}


@tenant_page
@require_POST
def acknowledge(request: TenantRequest, number: str) -> HttpResponseBase:
    """Stop what runs for a ticket."""
    ticket = _find(request, number)
    stopped = acknowledge_escalation(actor=request.actor, ticket_id=ticket.pk)
    if stopped:
        messages.success(request, _("Acknowledged. Nobody is called any more."))
    else:
        messages.info(request, _("No escalation runs for this ticket."))
    return _back(request, ticket)


@tenant_page
@require_POST
def start(request: TenantRequest, number: str) -> HttpResponseBase:
    """Start a policy by hand."""
    ticket = _find(request, number)
    policy = request.POST.get("policy", "")
    try:
        if not is_uuid(policy):
            raise Invalid.one("policy", "unknown_reference", "Choose an escalation policy.")
        start_escalation(actor=request.actor, ticket_id=ticket.pk, policy_id=UUID(policy))
    except Invalid as error:
        refused(request, error)
        messages.error(request, refusal_text(error))
    else:
        messages.success(request, _("The escalation has started."))
    return _back(request, ticket)


def _find(request: TenantRequest, number: str) -> Ticket:
    ticket: Ticket | None = visible_to(request.actor, Ticket.objects.all()).filter(number=number).first()
    if ticket is None:
        raise NotFound
    return ticket


def _back(request: TenantRequest, ticket: Ticket) -> HttpResponseBase:
    params = request.POST.get("queue")
    return redirect(page(ticket) if params is None else list_url(params, ticket.number))
