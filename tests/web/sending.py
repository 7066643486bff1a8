"""Reading an incident and sending its forms, as a browser does."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.test import Client

from itsm.events.models import Event
from itsm.tickets.models import Ticket
from tests.factories import Desk


def url(desk: Desk, ticket: Ticket, name: str = "") -> str:
    return f"{desk.prefix}/incidents/{ticket.number}/{name + '/' if name else ''}"


def post(
    client: Client,
    desk: Desk,
    ticket: Ticket,
    name: str,
    *,
    beside: str | None = None,
    script: bool = False,
    **data: Any,
) -> Any:
    """Send a form as it would be sent by somebody who has just read the page.

    ``beside`` are the parameters of the list that the ticket was open beside; ``script`` sends as the page's script does.
    """
    with desk.inside():
        now = Ticket.objects.get(pk=ticket.pk)
    data.setdefault("version", now.version)
    data.setdefault("seen", now.last_sequence)
    back = "" if beside is None else f"?{urlencode({'queue': beside})}"
    headers = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Source": "form"} if script else {}
    return client.post(url(desk, ticket, name) + back, data, headers=headers)


def state_of(desk: Desk, ticket: Ticket) -> int:
    with desk.inside():
        return int(Ticket.objects.get(pk=ticket.pk).state)


def events_of(desk: Desk, ticket: Ticket) -> int:
    with desk.inside():
        return Event.objects.filter(ticket_id=ticket.pk).count()


def text(response: Any) -> str:
    return str(response.content.decode())
