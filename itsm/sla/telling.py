"""How the events of clocks are told in a timeline: to the desk, because a promise is between it and its managers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from itsm.sla.models import Metric
from itsm.tickets.timeline import Change, Names, Renderer, Told, internal, register

Payload = Mapping[str, Any]


def _metric(payload: Payload) -> str:
    code = str(payload.get("metric", ""))
    return str(dict(Metric.choices).get(code, code))


def _when(text: Any) -> str:
    try:
        return date_format(timezone.localtime(datetime.fromisoformat(str(text))), "DATETIME_FORMAT")
    except ValueError:
        return ""


def _pair(payload: Payload, name: str) -> tuple[Any, Any]:
    found = payload.get(name)
    return (found[0], found[1]) if isinstance(found, list) and len(found) == 2 else (None, None)


def _reached(payload: Payload, names: Names, texts: Mapping[str, str]) -> Told:
    words = {"metric": _metric(payload), "threshold": payload.get("threshold", "")}
    if payload.get("stale"):
        return Told(_("%(metric)s: %(threshold)s of the time had been used before the clock moved on") % words)
    return Told(_("%(metric)s: %(threshold)s of the time is used") % words)


def _breached(payload: Payload, names: Names, texts: Mapping[str, str]) -> Told:
    return Told(
        _("%(metric)s is overdue since %(due)s") % {"metric": _metric(payload), "due": _when(payload.get("due_at"))}
    )


def _retargeted(payload: Payload, names: Names, texts: Mapping[str, str]) -> Told:
    (old, new), (before, after) = _pair(payload, "promise"), _pair(payload, "due")
    return Told(
        _("%(metric)s: another promise holds") % {"metric": _metric(payload)},
        (
            Change("promise", _("Promise"), str(old or ""), str(new or "")),
            Change("due", _("Due"), _when(before), _when(after)),
        ),
    )


def connect() -> None:
    """Register the renderers of clocks."""
    register("sla.threshold_reached", Renderer(_reached, internal))
    register("sla.breached", Renderer(_breached, internal))
    register("sla.retargeted", Renderer(_retargeted, internal))
