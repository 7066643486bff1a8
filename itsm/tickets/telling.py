"""How the events of the spine are told in a timeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from itsm.tickets.models import Audience, LinkKind
from itsm.tickets.timeline import Change, Names, Renderer, Told, by_payload, internal, register

Payload = Mapping[str, Any]
Texts = Mapping[str, str]

LABELS = {
    "title": gettext_lazy("Title"),
    "description": gettext_lazy("Description"),
    "impact": gettext_lazy("Impact"),
    "urgency": gettext_lazy("Urgency"),
    "priority": gettext_lazy("Priority"),
    "service": gettext_lazy("Service"),
    "category": gettext_lazy("Category"),
    "requester": gettext_lazy("Requester"),
    "assignee": gettext_lazy("Assignee"),
    "team": gettext_lazy("Team"),
    "parent": gettext_lazy("Parent"),
    "state": gettext_lazy("State"),
}

_ORDER = list(LABELS)


def change(field: str, pair: Any, names: Names) -> Change:
    """A pair [old, new] of ids or codes as a change in words."""
    old, new = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)
    named = {
        "service": names.service,
        "category": names.category,
        "requester": names.person,
        "assignee": names.person,
        "team": names.team,
        "parent": names.ticket,
    }.get(field)
    if field == "priority":
        return Change(field, str(LABELS[field]), f"P{old}" if old else "", f"P{new}" if new else "")
    return Change(
        field,
        str(LABELS.get(field, field)),
        named(old) if named else "" if old is None else str(old),
        named(new) if named else "" if new is None else str(new),
    )


def _commented(payload: Payload, names: Names, texts: Texts) -> Told:
    if payload.get("audience") == Audience.INTERNAL:
        return Told(_("wrote an internal note"), body_of="body")
    return Told(_("replied"), body_of="body")


def _attached(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("attached a file"))


def _assigned(payload: Payload, names: Names, texts: Texts) -> Told:
    pairs = [(name, payload.get(name)) for name in ("team", "assignee")]
    changes = tuple(change(name, pair, names) for name, pair in pairs if isinstance(pair, list) and pair[0] != pair[1])
    return Told(_("changed the assignment"), changes)


def _updated(payload: Payload, names: Names, texts: Texts) -> Told:
    pairs = payload.get("changes") or {}
    changes = []
    # The database keeps keys in an order of its own; people read in ours.
    for name, pair in sorted(pairs.items(), key=lambda item: _ORDER.index(item[0]) if item[0] in _ORDER else 99):
        if name == "title":
            changes.append(Change(name, str(LABELS[name]), "", texts.get(name, "") or _("(removed)")))
        elif name != "description":
            changes.append(change(name, pair, names))
    if "description" in pairs:
        return Told(_("changed the description"), tuple(changes), body_of="description")
    return Told(_("changed the ticket"), tuple(changes))


def _updated_audience(payload: Payload) -> str:
    # Which parent a ticket follows is the desk's affair.
    return Audience.INTERNAL if set(payload.get("changes") or {}) <= {"parent"} else Audience.PUBLIC


def _watched(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("added %(person)s as a watcher") % {"person": names.person(payload.get("person"))})


def _unwatched(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("removed %(person)s from the watchers") % {"person": names.person(payload.get("person"))})


def _link(payload: Payload, names: Names) -> dict[str, str]:
    kinds = dict(LinkKind.choices)
    link = str(kinds.get(payload.get("link", ""), payload.get("link", "")))
    return {"link": link, "ticket": names.ticket(payload.get("target"))}


def _linked(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("added the link: %(link)s %(ticket)s") % _link(payload, names))


def _unlinked(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("removed the link: %(link)s %(ticket)s") % _link(payload, names))


def _detached(payload: Payload, names: Names, texts: Texts) -> Told:
    return Told(_("removed a file"))


def _texts_removed(payload: Payload, names: Names, texts: Texts) -> Told:
    if payload.get("reason") == "retention":
        return Told(_("removed the texts, because they are kept no longer"))
    if payload.get("person"):
        return Told(_("removed the texts of a person who was erased"))
    return Told(_("removed the texts, because the requester was erased"))


def _texts_removed_audience(payload: Payload) -> str:
    # One person's may have been notes alone; all of a ticket's leave a gap that everybody sees.
    return Audience.INTERNAL if payload.get("person") else Audience.PUBLIC


def connect() -> None:
    """Register the renderers of the spine."""
    register("ticket.commented", Renderer(_commented, by_payload, lambda: _("because the requester replied")))
    register("ticket.attached", Renderer(_attached, by_payload))
    register("ticket.detached", Renderer(_detached, internal))
    register("ticket.assigned", Renderer(_assigned, internal))
    register("ticket.updated", Renderer(_updated, _updated_audience))
    register("ticket.watched", Renderer(_watched, internal))
    register("ticket.unwatched", Renderer(_unwatched, internal))
    register("ticket.linked", Renderer(_linked, internal))
    register("ticket.unlinked", Renderer(_unlinked, internal))
    register("ticket.texts_removed", Renderer(_texts_removed, _texts_removed_audience))
