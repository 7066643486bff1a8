"""A ticket beside a list: how each kind shows itself there (filled by config/wiring.py), and the way back to the list."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString

from itsm.tickets.models import Ticket
from itsm.web.pages import TenantRequest

#: Parameter of the queue's address that names the open ticket.
OPEN = "open"
#: Parameter of a pane's forms: the list (its parameters, as a link carries them) that they lead back to.
BACK = "queue"
_PARAMS_MAX = 4000

#: (request, ticket, parameters of the list) → HTML of the ticket; its forms lead back to that list.
Pane = Callable[[TenantRequest, Ticket, str], SafeString]
PANES: dict[str, Pane] = {}


def register(kind: str, pane: Pane) -> None:
    """Make a kind show itself in the queue's pane. Registering it again replaces it."""
    PANES[kind] = pane


def list_url(params: str, number: str = "") -> str:
    """The queue's address with these parameters of a list, and with this ticket open."""
    query = QueryDict(params[:_PARAMS_MAX]).copy()
    query.pop(OPEN, None)
    if number:
        query[OPEN] = number
    return f"{reverse('queue')}?{query.urlencode()}" if query else reverse("queue")


def pane_response(
    request: TenantRequest, ticket: Ticket, html: SafeString, params: str, status: int = 200
) -> HttpResponse:
    """The pane alone, for the script to put beside the list, with the list's row of the same ticket."""
    context = {"ticket": ticket, "pane": html, "here": params[:_PARAMS_MAX], "list_url": list_url(params)}
    return render(request, "itsm/queue/part.html", context | {"open_number": ticket.number}, status=status)
