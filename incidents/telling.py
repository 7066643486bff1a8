"""How the events of an incident are told in a timeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from incidents.flow import KIND
from incidents.models import CloseCode, HoldReason
from itsm.tickets.kinds import state_label
from itsm.tickets.telling import LABELS, change
from itsm.tickets.timeline import Change, Names, Renderer, Told, register

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
