"""How the events of escalation are told in a timeline: to the desk, and never leaving out that somebody was not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from itsm.tickets.timeline import Change, Names, Renderer, Told, internal, register

Payload = Mapping[str, Any]

#: Where people are looked for, and why there is nobody.
_PLACES = {
    "person": gettext_lazy("the person"),
    "team": gettext_lazy("the team"),
    "schedule_team": gettext_lazy("the team of the schedule"),
    "managers": gettext_lazy("the managers"),
    "admins": gettext_lazy("the tenant admins"),
}
_REASONS = {
    "gap": gettext_lazy("nobody is on call"),
    "left": gettext_lazy("left or disabled"),
    "no_access": gettext_lazy("may not read this ticket"),
    "empty": gettext_lazy("nobody there"),
}
_ENDS = {
    "acknowledged": gettext_lazy("acknowledged the escalation"),
    "taken": gettext_lazy("stopped the escalation by taking the ticket"),
    "started": gettext_lazy("stopped the escalation by starting work"),
    "held": gettext_lazy("stopped the escalation by putting the ticket on hold"),
    "resumed": gettext_lazy("stopped the escalation by resuming work"),
}
_CHANGES: Mapping[str, Any] = {
    "reassign": gettext_lazy("Assignment"),
    "raise_priority": gettext_lazy("Priority"),
    "declare_major": gettext_lazy("Major incident"),
    "webhook": gettext_lazy("Webhook"),
    "comment": gettext_lazy("Note"),
    "start_policy": gettext_lazy("Next policy"),
}
_OUTCOMES = {
    "done": gettext_lazy("done"),
    "unchanged": gettext_lazy("nothing to change"),
    "requested": gettext_lazy("asked for"),
    "refused": gettext_lazy("refused"),
}


def place(name: str) -> str:
    """``on_call:2`` and the like in words."""
    where, _colon, level = name.partition(":")
    if where == "on_call":
        return _("on call, level %(level)s") % {"level": level}
    return str(_PLACES.get(where, where))


def instead(payload: Payload) -> str:
    """Who was asked before and was not there, as one sentence; empty when the first one was."""
    missed = [one for action in payload.get("actions") or () for one in _missed(action)]
    told = dict.fromkeys(f"{place(one.get('who', ''))} ({_REASONS.get(one.get('why', ''), '')})" for one in missed)
    return ", ".join(told)


def _missed(action: Any) -> list[Payload]:
    found = action.get("instead") or action.get("told", {}).get("instead") if isinstance(action, dict) else None
    return found if isinstance(found, list) else []


def _started(payload: Payload, names: Names, texts: Payload) -> Told:
    return Told(_("started an escalation"))


def _step(payload: Payload, names: Names, texts: Payload) -> Told:
    number = int(payload.get("step", 0)) + 1
    people = ", ".join(names.person(person) for person in payload.get("recipients") or ())
    if payload.get("unmet"):
        text = _("escalation step %(number)d: passed over, its conditions do not hold") % {"number": number}
    elif payload.get("exhausted"):
        text = _("nobody answered the escalation")
    else:
        text = _("escalation step %(number)d") % {"number": number}
    changes = []
    if people:
        label = _("Told later, with other news") if payload.get("late") else _("Told")
        changes.append(Change("told", label, "", people))
    if missing := instead(payload):
        changes.append(Change("instead", _("Not there"), "", missing))
    for action in payload.get("actions") or ():
        if action.get("action") in _CHANGES:
            outcome = str(_OUTCOMES.get(action.get("outcome", ""), action.get("outcome", "")))
            changes.append(Change(action["action"], str(_CHANGES[action["action"]]), "", outcome))
    if skipped := payload.get("skipped"):
        steps = ", ".join(str(int(step) + 1) for step in skipped)
        changes.append(Change("skipped", _("Passed over, because it was too late for them"), "", steps))
    return Told(text, tuple(changes))


def _acknowledged(payload: Payload, names: Names, texts: Payload) -> Told:
    return Told(str(_ENDS.get(payload.get("reason", ""), _ENDS["acknowledged"])))


def _plain(text: Any) -> Callable[[Payload, Names, Payload], Told]:
    return lambda _payload, _names, _texts: Told(str(text))


def connect() -> None:
    """Register the renderers of escalation."""
    because = Renderer(_started, internal, lambda: _("because of the escalation"))
    register("escalation.started", because)
    register("escalation.step_taken", Renderer(_step, internal))
    register("escalation.acknowledged", Renderer(_acknowledged, internal))
    again = gettext_lazy("started the escalation again: it was acknowledged, and the ticket is still open")
    register("escalation.restarted", Renderer(_plain(again), internal))
    register("escalation.cancelled", Renderer(_plain(gettext_lazy("ended the escalation")), internal))
    register("escalation.webhook", Renderer(_plain(gettext_lazy("told another system")), internal))
    register("escalation.major_requested", Renderer(_plain(gettext_lazy("asked for a major incident")), internal))
