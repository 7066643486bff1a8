"""What rooms of the shared ground add to the page of every ticket, beside its facts. Filled by config/wiring.py."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.safestring import SafeString, mark_safe

from itsm.tickets.models import Ticket
from itsm.web.pages import TenantRequest

#: (request, ticket, level of its heading) → HTML, empty when there is nothing for this reader.
Section = Callable[[TenantRequest, Ticket, int], SafeString]
SECTIONS: list[Section] = []


def register(*sections: Section) -> None:
    """Add sections, in this order. Registering one again changes nothing."""
    SECTIONS.extend(section for section in sections if section not in SECTIONS)


def sections_of(request: TenantRequest, ticket: Ticket, level: int) -> SafeString:
    """All of them for one ticket."""
    return mark_safe("".join(section(request, ticket, level) for section in SECTIONS))  # noqa: S308 - each is safe
