"""What a message says: the words of a notification as its reader may read them, at the moment when it leaves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape

from django.conf import settings
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from itsm.events.models import Event
from itsm.kernel.actor import Actor
from itsm.notify import addresses, wording
from itsm.notify.links import acknowledge_address
from itsm.notify.models import Notification
from itsm.notify.placeholders import fill
from itsm.notify.topics import Topic
from itsm.notify.wishes import zone_of
from itsm.tenancy.models import Tenant, TenantSettings
from itsm.tickets.kinds import state_label
from itsm.tickets.models import Ticket
from itsm.tickets.timeline import Entry, timeline

SUBJECT_MAX = 200
#: What somebody wrote is quoted up to here; the rest is read on the page.
BODY_MAX = 5000
DIGEST_LINES = 200
_GAP = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")
_ADDRESS = re.compile(r"\Ahttps?://\S+\Z")


@dataclass(frozen=True, slots=True)
class Letter:
    """A finished message. ``internal``: it tells of something that readers of internal notes alone may read."""

    subject: str
    text: str
    internal: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """A notification with all that is needed to tell it: reader, topic, event, and the ticket as the reader sees it."""

    notification: Notification | None
    topic: Topic
    event: Event
    reader: Actor
    tenant: Tenant
    ticket: Ticket | None


@contextmanager
def as_read_by(reader: Actor) -> Iterator[str]:
    """Run the block in the reader's language and time zone; answers the language."""
    language = reader.language
    if not language:
        language = TenantSettings.objects.values_list("language", flat=True).first() or "en"
    with translation.override(language), timezone.override(zone_of(reader.time_zone)):
        yield language


def preview(
    words: wording.Words,
    reader: Actor,
    tenant: Tenant,
    ticket: Ticket,
    event: Event,
    topic: Topic | None,
    language: str,
) -> Letter:
    """What these words make of an event of a ticket that the reader has fetched through visible_to(). Sends nothing."""
    about = topic or Topic("common", _("Something happened"), (), lambda _event: ())
    told = Told(None, about, event, reader, tenant, ticket)
    with translation.override(language), timezone.override(zone_of(reader.time_zone)):
        return compose(words, values_of(told, entry_of(told)))


def entry_of(told: Told) -> Entry | None:
    """The event as the ticket's timeline tells it to this reader; None when it does not."""
    if told.ticket is None:
        return None
    found = timeline(told.reader, told.ticket, after=told.event.sequence - 1, limit=1)
    return next((entry for entry in found if entry.id == told.event.pk), None)


def values_of(told: Told, entry: Entry | None) -> dict[str, str]:
    """What stands for each placeholder, in the language and zone in force."""
    values = {
        "event.who": entry.who if entry else _("Viable"),
        "event.text": entry.text if entry else str(told.topic.label),
        "event.body": _cut(entry.body) if entry else "",
        "event.changes": "\n".join(_change(one.label, one.old, one.new) for one in entry.changes) if entry else "",
        "event.time": date_format(timezone.localtime(told.event.occurred_at), "DATETIME_FORMAT"),
        "person.name": told.reader.name,
        "desk.name": told.tenant.name,
        "topic.label": str(told.topic.label),
    }
    ticket = told.ticket
    if ticket is not None:
        shown_team = ticket.team if ticket.team_id not in told.reader.hidden_teams else None
        values |= {
            "ticket.number": ticket.number,
            "ticket.title": ticket.title,
            "ticket.state": state_label(ticket.kind, ticket.state),
            "ticket.priority": f"P{ticket.priority}",
            "ticket.service": str(ticket.service or ""),
            "ticket.team": str(shown_team or ""),
            "ticket.requester": str(ticket.requester or ""),
            "ticket.url": addresses.ticket_page(told.tenant, ticket),
        }
    return values


def write(told: Told) -> Letter:
    """The message for one notification."""
    with as_read_by(told.reader) as language:
        entry = entry_of(told)
        letter = compose(wording.choose(told.topic, language), values_of(told, entry))
        text = f"{letter.text}\n\n-- \n{_footer(told)}"
        if told.topic.acknowledge is not None and told.notification is not None:
            link = acknowledge_address(told.notification)
            text = _("Acknowledge with one tap (the link is for you alone):") + f"\n{link}\n\n{text}"
    return Letter(letter.subject, text, internal=entry is not None and entry.internal)


def compose(words: wording.Words, values: dict[str, str]) -> Letter:
    """Words with their values: a subject of one line, a text without holes."""
    subject = one_line(fill(words.subject, values)) or one_line(values.get("topic.label", ""))
    return Letter(subject, _GAP.sub("\n\n", fill(words.text, values)).strip())


def write_digest(reader: Actor, tenant: Tenant, parts: Sequence[Told]) -> Letter:
    """One message for many notifications, in the order in which they happened."""
    with as_read_by(reader) as language:
        pieces, internal = [], False
        for told in parts[:DIGEST_LINES]:
            entry = entry_of(told)
            internal = internal or (entry is not None and entry.internal)
            values = values_of(told, entry)
            subject = compose(wording.choose(told.topic, language), values).subject
            said = f"{values['event.time']} · {values['event.who']} {values['event.text']}"
            pieces.append(
                "\n".join(filter(None, (subject, said, _cut(values["event.body"], 300), values.get("ticket.url"))))
            )
        if len(parts) > DIGEST_LINES:
            pieces.append(_("… and %(count)s more in your inbox.") % {"count": len(parts) - DIGEST_LINES})
        subject = _("%(desk)s: %(count)s notifications") % {"desk": tenant.name, "count": len(parts)}
        foot = _("You get these together, as you chose: %(url)s") % {
            "url": addresses.page(tenant, "notification-preferences")
        }
        return Letter(one_line(subject), "\n\n".join([*pieces, f"-- \n{foot}"]), internal)


def one_line(text: str) -> str:
    """A text as one line without control characters: what stands in a header can start no other header."""
    plain = "".join(" " if char.isspace() or not char.isprintable() else char for char in text)
    return " ".join(plain.split())[:SUBJECT_MAX]


def html_of(text: str, language: str, tenant: Tenant) -> str:
    """The text as plain HTML. Only a line that is an address of ours becomes a link: no word of anybody's leads away."""
    ours = (f"{addresses.root_of(tenant)}/", f"{settings.PUBLIC_URL.rstrip('/')}/")
    lines = []
    for line in text.split("\n"):
        shown = escape(line)
        if _ADDRESS.match(line) and line.startswith(ours):
            shown = f'<a href="{shown}">{shown}</a>'
        lines.append(shown)
    paragraphs = "\n".join(lines).split("\n\n")
    body = "\n".join(f"<p>{part.replace(chr(10), '<br>')}</p>" for part in paragraphs)
    return f'<!doctype html>\n<html lang="{escape(language)}"><head><meta charset="utf-8"></head><body>\n{body}\n</body></html>'


def _footer(told: Told) -> str:
    why = _("You are told because: %(topic)s.") % {"topic": str(told.topic.label)}
    return f"{why}\n{_('Change what you are told:')}\n{addresses.page(told.tenant, 'notification-preferences')}"


def _change(label: str, old: str, new: str) -> str:
    return f"{label}: {old} → {new}" if old else f"{label}: {new}"


def _cut(text: str, limit: int = BODY_MAX) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
