"""The story of a ticket, told from its events when it is read, in the reader's language and within his rights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Model
from django.utils.translation import gettext as _

from itsm.access.decide import allows, visible_to
from itsm.events.kinds import current
from itsm.events.models import Event, EventText
from itsm.kernel.actor import Actor, ActorKind
from itsm.tenancy.models import Person, Team
from itsm.tickets.models import Attachment, Audience, Category, Service, Ticket


@dataclass(frozen=True, slots=True)
class Change:
    """One field that changed, in words: names instead of ids. An empty string means "nothing"."""

    field: str
    label: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class File:
    """A file that an entry is about. ``name`` is empty when it was erased; a removed file cannot be downloaded."""

    id: UUID
    name: str
    size: int
    removed: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a timeline. ``who`` + ``text`` make a sentence; ``body`` is Markdown that somebody wrote."""

    id: UUID
    sequence: int
    kind: str
    occurred_at: datetime
    audience: str
    actor_id: UUID | None
    actor_kind: str
    who: str
    text: str
    changes: tuple[Change, ...] = ()
    body: str = ""
    #: There was a body, and an erasure or the retention rule removed it.
    removed: bool = False
    files: tuple[File, ...] = ()
    #: "because the requester replied": why an automatic entry is there. Empty when a person did it.
    because: str = ""

    @property
    def internal(self) -> bool:
        return self.audience == Audience.INTERNAL


@dataclass(frozen=True, slots=True)
class Told:
    """What a renderer makes of an event. ``body_of`` names the text that people wrote; None shows none."""

    text: str
    changes: tuple[Change, ...] = ()
    body_of: str | None = None


class Names:
    """Names of everything that the events of one ticket mention, loaded at once, as far as the reader may see them."""

    def __init__(self, actor: Actor, payloads: Iterable[Mapping[str, Any]]) -> None:
        ids = {found for payload in payloads for found in _ids_in(payload)}
        self._hidden = actor.hidden_teams
        self._people = _load(Person, actor, ids, "name")
        self._teams = _load(Team, actor, ids, "name")
        self._services = _load(Service, actor, ids, "name")
        self._categories = _load(Category, actor, ids, "name")
        seen = visible_to(actor, Ticket.objects.filter(pk__in=ids)) if ids else Ticket.objects.none()
        self._tickets = dict(seen.values_list("pk", "number"))

    def person(self, value: Any) -> str:
        return self._name(self._people, value, _("somebody"))

    def team(self, value: Any) -> str:
        found = _uuid(value)
        return _("a restricted team") if found in self._hidden else self._name(self._teams, value, _("a team"))

    def service(self, value: Any) -> str:
        return self._name(self._services, value, _("a service"))

    def category(self, value: Any) -> str:
        return self._name(self._categories, value, _("a category"))

    def ticket(self, value: Any) -> str:
        return self._name(self._tickets, value, _("another ticket"))

    @staticmethod
    def _name(names: Mapping[UUID, str], value: Any, unknown: str) -> str:
        if value in (None, ""):
            return ""
        found = _uuid(value)
        return names.get(found, unknown) if found else str(value)


#: Makes words of an event: (event payload in today's shape, names, texts by field) → Told.
Render = Callable[[Mapping[str, Any], Names, Mapping[str, str]], Told]


#: Who may read an event of a kind, from its payload.
AudienceOf = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Renderer:
    """How a kind of event is told. ``because`` completes "…, because …" for what it caused automatically."""

    render: Render
    audience: AudienceOf = field(default=lambda _payload: Audience.PUBLIC)
    because: Callable[[], str] = field(default=lambda: "")


RENDERERS: dict[str, Renderer] = {}


def register(kind: str, renderer: Renderer) -> None:
    """Say how events of this kind are told. Each practice registers its own, in config/wiring.py."""
    RENDERERS[kind] = renderer


def internal(_payload: Mapping[str, Any]) -> str:
    """The audience of kinds that only the desk reads."""
    return Audience.INTERNAL


def by_payload(payload: Mapping[str, Any]) -> str:
    """The audience of kinds whose events say it themselves. What does not say it, the desk alone reads."""
    return Audience.PUBLIC if payload.get("audience") == Audience.PUBLIC else Audience.INTERNAL


def timeline(
    actor: Actor,
    ticket: Ticket,
    *,
    after: int = 0,
    limit: int | None = None,
    newest: bool = False,
    kinds: str = "",
) -> list[Entry]:
    """The entries of a ticket that the actor has already fetched through visible_to(), oldest first.

    Those with a sequence above ``after``; with a ``limit``, the first so many of them, or with ``newest`` the last. ``kinds``
    is how their kinds begin. Internal ones only for readers of internal notes. The number of queries does not grow with the
    number of events.
    """
    all_of_it = allows(actor, "ticket.read_internal", ticket)
    attachments = list(Attachment.objects.filter(tenant_id=actor.tenant_id, ticket_id=ticket.pk))
    events = Event.objects.filter(tenant_id=actor.tenant_id, ticket_id=ticket.pk, sequence__gt=after)
    if taken := [str(row.pk) for row in attachments if row.comment_id is not None]:
        # A file that came with a comment is told with it: one message is one entry.
        events = events.exclude(kind="ticket.attached", payload__attachment__in=taken)
    if kinds:
        events = events.filter(kind__startswith=kinds)
    events = events.order_by("-sequence" if newest else "sequence")
    seen: list[Event] = []
    payloads: dict[UUID, Mapping[str, Any]] = {}
    # Who may not read all of them: nobody knows how many must be looked at, so they come in pieces.
    for event in events[:limit] if all_of_it else events.iterator(200):
        if len(seen) == limit:
            break
        payload = current(event.kind, event.version, event.payload)
        if all_of_it or audience_of(event.kind, payload) == Audience.PUBLIC:
            seen.append(event)
            payloads[event.pk] = payload
    if newest:
        seen.reverse()
    texts = _texts(actor, seen)
    files = _files(attachments, all_of_it)
    people = [{"who": event.actor_id} for event in seen]
    names = Names(actor, [*(payloads[event.pk] for event in seen), *people])
    causes = _causes(actor, seen, all_of_it)
    return [_entry(e, payloads[e.pk], names, texts.get(e.pk, {}), files, causes) for e in seen]


def _entry(
    event: Event,
    payload: Mapping[str, Any],
    names: Names,
    texts: Mapping[str, str],
    files: Mapping[UUID, File],
    causes: Mapping[UUID, str],
) -> Entry:
    renderer = RENDERERS.get(event.kind)
    told = renderer.render(payload, names, texts) if renderer else _plainly(event.kind, payload)
    had = told.body_of is not None and told.body_of in payload.get("texts", {})
    body = texts.get(told.body_of or "", "")
    mentioned = [payload.get("attachment"), *payload.get("attachments", ())]
    return Entry(
        id=event.pk,
        sequence=event.sequence,
        kind=event.kind,
        occurred_at=event.occurred_at,
        audience=audience_of(event.kind, payload),
        actor_id=event.actor_id,
        actor_kind=event.actor_kind,
        who=_who(event, names),
        text=told.text,
        changes=told.changes,
        body=body,
        removed=had and not body,
        files=tuple(files[found] for value in mentioned if (found := _uuid(value)) is not None and found in files),
        because=causes.get(event.cause_id, "") if event.cause_id and event.actor_id is None else "",
    )


def in_words(event: Event, names: Names) -> tuple[str, str]:
    """Who did it and what was done, for a line of a list; no body, no changes."""
    payload = current(event.kind, event.version, event.payload)
    renderer = RENDERERS.get(event.kind)
    told = renderer.render(payload, names, {}) if renderer else _plainly(event.kind, payload)
    return _who(event, names), told.text


def _who(event: Event, names: Names) -> str:
    if event.actor_id is None:
        return _("Automatic")
    name = names.person(event.actor_id)
    return _("%(name)s (by token)") % {"name": name} if event.actor_kind == ActorKind.TOKEN else name


def audience_of(kind: str, payload: Mapping[str, Any]) -> str:
    """Who may read an event of this kind: everybody who sees the ticket, or the desk."""
    renderer = RENDERERS.get(kind)
    # What nobody registered is not known to be harmless.
    return renderer.audience(payload) if renderer else Audience.INTERNAL


def _plainly(kind: str, payload: Mapping[str, Any]) -> Told:
    pairs = payload.get("changes")
    changes = [
        Change(str(name), str(name), _bare(pair[0]), _bare(pair[1]))
        for name, pair in (pairs.items() if isinstance(pairs, dict) else ())
        if isinstance(pair, list) and len(pair) == 2
    ]
    return Told(_("recorded %(kind)s") % {"kind": kind}, tuple(changes))


def _bare(value: Any) -> str:
    return "" if value is None else str(value)


def _texts(actor: Actor, events: list[Event]) -> dict[UUID, dict[str, str]]:
    rows = EventText.objects.filter(tenant_id=actor.tenant_id, event_id__in=[e.pk for e in events])
    found: dict[UUID, dict[str, str]] = {}
    for event_id, name, text in rows.values_list("event_id", "field", "text"):
        found.setdefault(event_id, {})[name] = text
    return found


def _files(attachments: list[Attachment], all_of_it: bool) -> dict[UUID, File]:
    return {
        row.pk: File(row.pk, row.name, row.size, row.removed_at is not None)
        for row in attachments
        if all_of_it or row.audience == Audience.PUBLIC
    }


def _causes(actor: Actor, seen: list[Event], all_of_it: bool) -> dict[UUID, str]:
    """Why automatic entries are there, by the id of the causing event, which may belong to another ticket."""
    wanted = {event.cause_id for event in seen if event.cause_id and event.actor_id is None}
    by_id = {event.pk: event for event in seen}
    if wanted - by_id.keys():
        others = Event.objects.filter(tenant_id=actor.tenant_id, pk__in=wanted - by_id.keys())
        by_id |= {event.pk: event for event in others}
    found: dict[UUID, str] = {}
    for cause_id in wanted & by_id.keys():
        cause = by_id[cause_id]
        renderer = RENDERERS.get(cause.kind)
        payload = current(cause.kind, cause.version, cause.payload)
        readable = all_of_it or audience_of(cause.kind, payload) == Audience.PUBLIC
        if renderer and readable:
            found[cause_id] = renderer.because()
    return found


def _load(model: type[Model], actor: Actor, ids: set[UUID], name: str) -> dict[UUID, str]:
    if not ids:
        return {}
    rows = model._default_manager.filter(tenant_id=actor.tenant_id, pk__in=ids)
    return dict(rows.values_list("pk", name))


def _ids_in(value: Any) -> Iterable[UUID]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key != "texts":
                yield from _ids_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _ids_in(item)
    elif (found := _uuid(value)) is not None:
        yield found


def _uuid(value: Any) -> UUID | None:
    if isinstance(value, UUID):
        return value
    if isinstance(value, str) and len(value) == 36:
        try:
            return UUID(value)
        except ValueError:
            return None
    return None
