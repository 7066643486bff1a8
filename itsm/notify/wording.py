"""The product's own words for messages, in English and German, and the choice between them and the tenant's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from itsm.notify.models import MessageTemplate
from itsm.notify.topics import TOPICS, Topic

#: The words of every topic that has none of its own.
COMMON: Final = "common"
FALLBACK_LANGUAGE: Final = "en"


@dataclass(frozen=True, slots=True)
class Words:
    """Subject and text of a message, with placeholders."""

    subject: str
    text: str


_BODY = "{event.who} {event.text}\n{event.changes}\n\n{event.body}\n\n"
_EN = "{ticket.number}: {ticket.title}\nState: {ticket.state} · Priority: {ticket.priority}\n{ticket.url}"
_DE = "{ticket.number}: {ticket.title}\nStatus: {ticket.state} · Priorität: {ticket.priority}\n{ticket.url}"

#: key → language → words. Other rooms add theirs with add().
DEFAULTS: dict[str, dict[str, Words]] = {}


def add(key: str, **languages: Words) -> None:
    """The product's words for a key: ``add("sla_breached", en=Words(…), de=Words(…))``. English is needed."""
    if FALLBACK_LANGUAGE not in languages:
        raise ValueError(f"the words for {key} lack {FALLBACK_LANGUAGE}")
    DEFAULTS[key] = languages


def add_subject(key: str, en: str, de: str) -> None:
    """The same for a topic whose text is the common one and whose subject says what it is about."""
    add(key, en=Words(en, _BODY + _EN), de=Words(de, _BODY + _DE))


add_subject(COMMON, "{ticket.number} {ticket.title}", "{ticket.number} {ticket.title}")
add_subject(
    "mention",
    "{event.who} mentions you: {ticket.number} {ticket.title}",
    "{event.who} erwähnt Sie: {ticket.number} {ticket.title}",
)
add_subject(
    "assigned_me",
    "Assigned to you: {ticket.number} {ticket.title}",
    "Ihnen zugewiesen: {ticket.number} {ticket.title}",
)
add_subject(
    "assigned_team",
    "For {ticket.team}: {ticket.number} {ticket.title}",
    "Für {ticket.team}: {ticket.number} {ticket.title}",
)
add_subject("reply", "Re: {ticket.number} {ticket.title}", "Re: {ticket.number} {ticket.title}")
add_subject("comment", "Re: {ticket.number} {ticket.title}", "Re: {ticket.number} {ticket.title}")
add_subject("resolved", "Resolved: {ticket.number} {ticket.title}", "Gelöst: {ticket.number} {ticket.title}")
add_subject("reopened", "Reopened: {ticket.number} {ticket.title}", "Wieder geöffnet: {ticket.number} {ticket.title}")
add_subject("closed", "Closed: {ticket.number} {ticket.title}", "Geschlossen: {ticket.number} {ticket.title}")
add_subject("canceled", "Canceled: {ticket.number} {ticket.title}", "Abgebrochen: {ticket.number} {ticket.title}")
add_subject("merged", "Merged: {ticket.number} {ticket.title}", "Zusammengeführt: {ticket.number} {ticket.title}")
add(
    "webhook_disabled",
    en=Words(
        "{desk.name}: a webhook endpoint was switched off",
        "It failed too often and is not called any more. The configuration says why, and switches it on again:\n"
        "Webhook endpoints.",
    ),
    de=Words(
        "{desk.name}: Ein Webhook-Ziel wurde abgeschaltet",
        "Es ist zu oft gescheitert und wird nicht mehr aufgerufen. In der Konfiguration steht, warum, und dort wird es\n"
        "wieder eingeschaltet: Webhook-Ziele.",
    ),
)


def key_of(topic: Topic) -> str:
    """The key of the words that a topic is told in."""
    named = topic.template or topic.key
    return named if named in DEFAULTS else COMMON


def known_keys() -> list[str]:
    """All keys that a tenant may give words of its own: those of the product, and every topic's."""
    return sorted({*DEFAULTS, *TOPICS})


def default(key: str, language: str) -> Words:
    """The product's words; English where it has none in this language."""
    languages = DEFAULTS.get(key, DEFAULTS[COMMON])
    return languages.get(language) or languages[FALLBACK_LANGUAGE]


def choose(topic: Topic, language: str) -> Words:
    """The words for a topic: the tenant's in the reader's language, then the product's, then the tenant's in English.

    A tenant may write words for one topic, or for all that have none of their own (``common``).
    """
    key = key_of(topic)
    wanted = [(topic.key, language), (key, language)]
    if language not in DEFAULTS.get(key, {}):
        wanted += [(topic.key, FALLBACK_LANGUAGE), (key, FALLBACK_LANGUAGE)]
    rows = {
        (row.key, row.language): Words(row.subject, row.text)
        for row in MessageTemplate.objects.filter(key__in={topic.key, key})
    }
    return next((rows[place] for place in wanted if place in rows), None) or default(key, language)
