"""What people are told when something takes too long: pages that stop when somebody has acknowledged."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from itsm.escalation import messages
from itsm.notify.models import Urgency
from itsm.notify.topics import Topic, register
from itsm.notify.wording import Words, add

_EN = "\n\n{ticket.number}: {ticket.title}\nState: {ticket.state} · Priority: {ticket.priority}\n{ticket.url}"
_DE = "\n\n{ticket.number}: {ticket.title}\nStatus: {ticket.state} · Priorität: {ticket.priority}\n{ticket.url}"


def connect() -> None:
    """Register the topics of escalation and their words."""
    add(
        "escalation",
        en=Words(
            "Escalation: {ticket.number} {ticket.title}",
            "This has been waiting for too long, and it is your turn: acknowledge it, or take it." + _EN,
        ),
        de=Words(
            "Eskalation: {ticket.number} {ticket.title}",
            "Das wartet schon zu lange, und Sie sind an der Reihe: Bestätigen oder übernehmen Sie es." + _DE,
        ),
    )
    add(
        "escalation_unanswered",
        en=Words(
            "{desk.name}: an escalation reached nobody",
            "A ticket takes too long, and nobody who may read it could be told: people have left, are not on call, or the\n"
            "team is empty. The escalation policy says who was meant.",
        ),
        de=Words(
            "{desk.name}: Eine Eskalation hat niemanden erreicht",
            "Ein Ticket dauert zu lange, und niemand, der es lesen darf, konnte benachrichtigt werden: Personen sind\n"
            "ausgeschieden, nicht in Bereitschaft, oder das Team ist leer. Die Eskalationsrichtlinie sagt, wer gemeint war.",
        ),
    )
    register(
        Topic(
            "escalation",
            _("An escalation calls me"),
            (messages.STEP,),
            messages.paged,
            urgency=Urgency.PAGE,
            over=messages.over,
            acknowledge=messages.acknowledge,
            rank=1,
        ),
        Topic(
            "escalation_late",
            _("An escalation called me too late to be urgent"),
            (messages.STEP,),
            messages.digested,
            urgency=Urgency.DIGEST,
            template="escalation",
            over=messages.over,
            acknowledge=messages.acknowledge,
            rank=2,
        ),
        Topic(
            "escalation_unanswered",
            _("An escalation reached nobody"),
            (messages.UNANSWERED,),
            messages.admins,
            urgency=Urgency.PAGE,
            rank=3,
        ),
    )
