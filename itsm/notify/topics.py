"""Of what people are told: the registry that every room fills in config/wiring.py.

A topic says which kinds of events it hears, whom each concerns, how urgent that is and in which words it is told. Whoever
an event concerns for several reasons is told once, for the one of the lowest rank that he has not switched off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from itsm.events.models import Event
from itsm.kernel.actor import Actor
from itsm.notify.models import Channel, Urgency

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: Whom an event concerns, as ids of people. Runs inside the tenant, later than the event, at least once.
Recipients = Callable[[Event], Iterable[UUID | None]]
#: Asked when a message is about to leave: "" while the event still matters, else a code that says why not (``acknowledged``).
Over = Callable[[Event], str]
#: What the acknowledge link of a message does: a command, as the person who was told.
Acknowledge = Callable[[Actor, Event], None]


def never_over(_event: Event) -> str:
    """For what matters however much later it is told."""
    return ""


@dataclass(frozen=True, slots=True)
class Topic:
    """One reason to tell somebody.

    ``kinds`` are event kinds, or beginnings that end with a dot. ``template`` is the key of the product's words
    (wording.py); empty: the topic's own key, or the common words when there are none of that name. ``inbox`` and ``email``
    say which channels are on until somebody decides otherwise. With ``acknowledge`` the message carries a one-tap link.
    ``rank`` orders reasons, the strongest (lowest) first; pages come before all others.
    """

    key: str
    label: _StrOrPromise
    kinds: tuple[str, ...]
    recipients: Recipients
    urgency: Urgency = Urgency.NORMAL
    template: str = ""
    inbox: bool = True
    email: bool = True
    over: Over = never_over
    acknowledge: Acknowledge | None = None
    rank: int = 50

    def hears(self, kind: str) -> bool:
        return any(kind == one or (one.endswith(".") and kind.startswith(one)) for one in self.kinds)

    def on(self, channel: str) -> bool:
        """Whether a channel is on by the topic's own default."""
        return {Channel.INBOX: self.inbox, Channel.EMAIL: self.email}.get(Channel(channel), False)


TOPICS: dict[str, Topic] = {}


def register(*topics: Topic) -> None:
    """Add topics. Registering a key again replaces it where it stands."""
    TOPICS.update({topic.key: topic for topic in topics})


def hear_also(key: str, *kinds: str) -> None:
    """Let a registered topic hear further kinds: opening an incident with an assignee assigns it as well."""
    known = TOPICS[key]
    TOPICS[key] = replace(known, kinds=tuple(dict.fromkeys((*known.kinds, *kinds))))


def of_kind(kind: str) -> list[Topic]:
    """The topics that hear a kind of event, the strongest reason first."""
    heard = [topic for topic in TOPICS.values() if topic.hears(kind)]
    return sorted(heard, key=lambda topic: (topic.urgency != Urgency.PAGE, topic.rank))


def kinds() -> tuple[str, ...]:
    """All kinds that some topic hears, for the consumer."""
    return tuple(dict.fromkeys(kind for topic in TOPICS.values() for kind in topic.kinds))
