"""One thing that can be done on the page of an incident."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itsm.kernel.actor import Actor
from itsm.tickets.models import Ticket
from itsm.web.forms import PlainForm, TicketForm

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

Data = dict[str, Any]
#: Runs the command; answers the ticket to show next, or None for the same one.
Run = Callable[[Actor, Ticket, Data, TicketForm], Ticket | None]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. ``verb`` is what allowed_verbs() calls it, ``permission`` its right; ``done`` is said afterwards."""

    label: _StrOrPromise
    form: type[TicketForm]
    run: Run
    verb: str
    permission: str
    done: _StrOrPromise
    #: The button stands out: in this state it is what one does next.
    primary: bool = False

    @property
    def asks(self) -> bool:
        """Whether the form has anything to fill in."""
        return self.form is not PlainForm
