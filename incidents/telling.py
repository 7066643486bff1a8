"""How the events of an incident are told in a timeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents.flow import KIND
from incidents.models import CloseCode, HoldReason
from itsm.tickets.kinds import state_label
from itsm.tickets.telling import LABELS, change
from itsm.tickets.timeline import Change, Names, Renderer, Told, internal, register

Payload = Mapping[str, Any]
Texts = Mapping[str, str]


def _state(payload: Payload) -> tuple[Change, ...]:
    pair = payload.get("state")
    if not isinstance(pair, list) or len(pair) != 2 or pair[0] == pair[1]:
        return ()
    old, new = (state_label(KIND, code) if isinstance(code, int) else "" for code in pair)
    return (Change("state", str(LABELS["state"]), old, new),)


def _choice(choices: Any, value: Any) -> str:
    return str(dict(choices).get(value, value or ""))


def _opened(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("opened the incident"), body_of="description")


def _started(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("started work"), _state(payload))


def _held(payload: Payload, names: Names, texts: Texts) -> Told:
    reason = Change("hold_reason", _("Reason"), "", _choice(HoldReason.choices, payload.get("hold_reason")))
    return Told(_("put the incident on hold"), (*_state(payload), reason))


def _resumed(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("resumed work"), _state(payload))


def _resolved(payload: Payload, names: Names, texts: Texts) -> Told:
    code = Change("close_code", _("Resolution code"), "", _choice(CloseCode.choices, payload.get("close_code")))
    return Told(_("resolved the incident"), (*_state(payload), code), body_of="close_notes")


def _reopened(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("reopened the incident"), _state(payload), body_of="reason")


def _closed(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("closed the incident"), _state(payload))


def _canceled(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("canceled the incident"), _state(payload), body_of="reason")


def _merged(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("merged the incident into %(ticket)s") % {"ticket": names.ticket(payload["target"])}, _state(payload))


def _absorbed(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("merged %(ticket)s into this incident") % {"ticket": names.ticket(payload["duplicate"])})


#: Why a major incident was declared or ended, where no reason was typed.
_BECAUSE = {
    "escalation": gettext_lazy("asked for by an escalation policy"),
    "canceled": gettext_lazy("the incident was canceled"),
    "merged": gettext_lazy("the incident was merged"),
}


def _because(payload: Payload) -> tuple[Change, ...]:
    word = _BECAUSE.get(str(payload.get("because")))
    return (Change("because", _("Because"), "", str(word)),) if word else ()


def _major_declared(payload: Payload, names: Names, texts: Texts) -> Told:
    commander = Change("commander", _("Commander"), "", names.person(payload.get("commander")))
    return Told(_("declared a major incident"), (commander, *_because(payload)), body_of="reason")


def _major_role(payload: Payload, names: Names, texts: Texts) -> Told:
    pair = payload.get("person")
    old, new = (names.person(one) for one in pair) if isinstance(pair, list) and len(pair) == 2 else ("", "")
    label = {"commander": _("Commander"), "stakeholder": _("Stakeholder")}.get(str(payload.get("role")))
    label = label or texts.get("name") or _("(removed)")
    return Told(_("changed who leads the major incident"), (Change("role", label, old, new),))


def _major_update(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("sent an update about the major incident"), body_of="body")


def _major_copy(payload: Payload, names: Names, texts: Texts) -> Told:
    told = _("passed on an update about the major incident %(ticket)s")
    return Told(told % {"ticket": names.ticket(payload.get("major"))}, body_of="body")


def _major_stood_down(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("stood the major incident down"), _because(payload), body_of="reason")


def _major_review_due(payload: Payload, names: Names, texts: Texts) -> Told:
    due = parse_datetime(str(payload.get("due_at") or ""))
    day = date_format(timezone.localtime(due), "DATE_FORMAT") if due else ""
    return Told(_("asked for the review of the major incident by %(day)s") % {"day": day})


def _major_review_overdue(payload: Payload, names: Names, texts: Texts) -> Told:
    due = parse_datetime(str(payload.get("due_at") or ""))
    day = date_format(timezone.localtime(due), "DATE_FORMAT") if due else ""
    return Told(_("reminded of the review of the major incident, which was due by %(day)s") % {"day": day})


def _major_resumed(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("leads the major incident again"))


def _major_reviewed(payload: Payload, names: Names, texts: Texts) -> Told:
    count = len(payload.get("actions") or ())
    decided = (Change("actions", _("Actions"), "", str(count)),) if count else ()
    return Told(_("reviewed the major incident"), decided, body_of="causes")


def _imported(payload: Payload, names: Names, texts: Texts) -> Told:
    pairs = payload.get("changes")
    changes = [change(str(k), v, names) for k, v in (pairs.items() if isinstance(pairs, dict) else ())]
    source = payload.get("source")
    word = str(source.get("state", "")) if isinstance(source, dict) else ""
    done = _("recorded in another system as “%(state)s”") % {"state": word} if word else _("recorded in another system")
    return Told(done, (*_state(payload), *changes))


def connect() -> None:
    """Register the renderers of incidents."""
    register("incident.opened", Renderer(_opened))
    register("incident.started", Renderer(_started, because=lambda: _("because work on the parent started")))
    register("incident.held", Renderer(_held, because=lambda: _("because the parent was put on hold")))
    register("incident.resumed", Renderer(_resumed, because=lambda: _("because work on the parent resumed")))
    register("incident.resolved", Renderer(_resolved, because=lambda: _("because the parent was resolved")))
    register("incident.reopened", Renderer(_reopened))
    register("incident.closed", Renderer(_closed))
    register("incident.canceled", Renderer(_canceled))
    register("incident.merged", Renderer(_merged))
    register("incident.absorbed", Renderer(_absorbed))
    register("incident.imported", Renderer(_imported))
    register("incident.major_declared", Renderer(_major_declared, internal))
    register("incident.major_role_changed", Renderer(_major_role, internal))
    register("incident.major_update_sent", Renderer(_major_update))
    register("incident.major_update_copied", Renderer(_major_copy))
    register("incident.major_stood_down", Renderer(_major_stood_down, internal))
    register("incident.major_review_due", Renderer(_major_review_due, internal))
    register("incident.major_review_overdue", Renderer(_major_review_overdue, internal))
    register("incident.major_resumed", Renderer(_major_resumed, internal))
    register("incident.major_reviewed", Renderer(_major_reviewed, internal))
