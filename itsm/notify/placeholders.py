"""The template language of messages: ``{ticket.number}`` and nothing else. No code, no loops, no access to objects.

A placeholder is one name of the list below; everything else between braces is refused when a template is saved. Values are
put in once and never read again, so a ticket called "{ticket.url}" is shown as that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from django.utils.translation import gettext_lazy as _

from itsm.kernel.errors import Problems

#: Name → what it stands for, as the admin explains it.
PLACEHOLDERS: Final = {
    "ticket.number": _("the ticket's number"),
    "ticket.title": _("its title"),
    "ticket.state": _("its state"),
    "ticket.priority": _("its priority, such as P2"),
    "ticket.service": _("the service it is about"),
    "ticket.team": _("the team that it is with"),
    "ticket.requester": _("who asked"),
    "ticket.url": _("the address of its page"),
    "event.who": _("who did what the message tells of"),
    "event.text": _("what was done, in words"),
    "event.changes": _("which fields changed, one on a line"),
    "event.body": _("what was written: the reply, the resolution"),
    "event.time": _("when, in the reader's time zone"),
    "person.name": _("the reader's name"),
    "desk.name": _("the name of your organisation"),
    "topic.label": _("why the reader is told, in words"),
}
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def check(problems: Problems, field: str, template: str) -> None:
    """Add a problem for each thing between braces that is no placeholder, and for a brace that stands alone."""
    for found in _TOKEN.finditer(template):
        whole, name = found.group(0), found.group(1)
        if whole in {"{{", "}}"}:
            continue
        if name is None:
            problems.add(field, "single_brace", f"{field} has a single {whole}. Write {whole * 2} for the character.")
        elif name.strip() not in PLACEHOLDERS:
            near = get_close_matches(name.strip()[:60], PLACEHOLDERS, n=1, cutoff=0.5)
            remedy = f"Did you mean {{{near[0]}}}?" if near else f"Known are {', '.join(PLACEHOLDERS)}."
            problems.add(field, "unknown_placeholder", f"{{{name[:60]}}} is no placeholder. {remedy}")


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with the values in place; a placeholder without a value leaves nothing."""

    def value(found: re.Match[str]) -> str:
        whole, name = found.group(0), found.group(1)
        if name is None:
            return whole[0]
        return values.get(name.strip(), "")

    return _TOKEN.sub(value, template)
