"""The incident flow in ServiceNow's vocabulary: codes, labels and moves. Escalation is never a state."""

from __future__ import annotations

from enum import IntEnum

from django.utils.translation import gettext_lazy as _

from itsm.tickets.flow import Flow, State
from itsm.tickets.models import StateCategory as Category

KIND = "incident"
PREFIX = "INC"


class IncidentState(IntEnum):
    """ServiceNow's codes; 4 and 5 are unused there too."""

    NEW = 1
    IN_PROGRESS = 2
    ON_HOLD = 3
    RESOLVED = 6
    CLOSED = 7
    CANCELED = 8


_S = IncidentState
_OPEN = frozenset({_S.NEW.value, _S.IN_PROGRESS.value, _S.ON_HOLD.value})

FLOW = Flow(
    states={
        state.code: state
        for state in (
            State(_S.NEW.value, "new", _("New"), Category.NEW),  # type: ignore[arg-type]
            State(_S.IN_PROGRESS.value, "in_progress", _("In Progress"), Category.ACTIVE),  # type: ignore[arg-type]
            State(_S.ON_HOLD.value, "on_hold", _("On Hold"), Category.WAITING),  # type: ignore[arg-type]
            State(_S.RESOLVED.value, "resolved", _("Resolved"), Category.DONE),  # type: ignore[arg-type]
            State(_S.CLOSED.value, "closed", _("Closed"), Category.CLOSED),  # type: ignore[arg-type]
            State(_S.CANCELED.value, "canceled", _("Canceled"), Category.CANCELED),  # type: ignore[arg-type]
        )
    },
    moves={
        "take": (_OPEN, None),
        "start": (frozenset({_S.NEW.value}), _S.IN_PROGRESS.value),
        "hold": (frozenset({_S.NEW.value, _S.IN_PROGRESS.value}), _S.ON_HOLD.value),
        "resume": (frozenset({_S.ON_HOLD.value}), _S.IN_PROGRESS.value),
        "resolve": (_OPEN, _S.RESOLVED.value),
        "reopen": (frozenset({_S.RESOLVED.value}), _S.IN_PROGRESS.value),
        "close": (frozenset({_S.RESOLVED.value}), _S.CLOSED.value),
        "cancel": (_OPEN, _S.CANCELED.value),
        "merge": (_OPEN, _S.CLOSED.value),
    },
)


def permission_of(verb: str) -> str:
    """The permission that a verb of the flow asks for. Taking is assigning, to oneself."""
    return "ticket.assign" if verb == "take" else f"incident.{verb}"
