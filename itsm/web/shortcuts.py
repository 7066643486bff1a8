"""The keys of the pages, said once: the help dialog shows this list, and the script reads it from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise


@dataclass(frozen=True, slots=True)
class Shortcut:
    """``key`` as KeyboardEvent.key gives it in lower case; ``action`` is a name in keys.js, or empty for the browser's own."""

    key: str
    action: str
    label: _StrOrPromise

    @property
    def cap(self) -> str:
        """What stands on the key."""
        return {"enter": "Enter", "escape": "Esc"}.get(self.key, self.key.upper())

    @property
    def single(self) -> bool:
        """Whether it is a character key, which a person may switch off (WCAG 2.1.4)."""
        return len(self.key) == 1


SHORTCUTS = (
    Shortcut("j", "next", _("Next ticket of the list")),
    Shortcut("k", "previous", _("Previous ticket of the list")),
    Shortcut("enter", "", _("Open the ticket that has the focus")),
    Shortcut("o", "page", _("Open the ticket on a page of its own")),
    Shortcut("/", "search", _("Search")),
    Shortcut("?", "help", _("This help")),
    Shortcut("escape", "close", _("Close what is open")),
)
