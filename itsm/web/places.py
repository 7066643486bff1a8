"""Where the shell leads: the pages that practices add to its header, filled by config/wiring.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from itsm.kernel.actor import Actor

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise


@dataclass(frozen=True, slots=True)
class Place:
    """A page of a practice: its URL name, what the link says, and for whom it is.

    ``new`` makes something and is offered where a list is empty too; ``home`` is where somebody without the queue begins.
    """

    url_name: str
    label: _StrOrPromise
    open_to: Callable[[Actor], bool]
    new: bool = False
    home: bool = False


PLACES: dict[str, Place] = {}


def register(*places: Place) -> None:
    """Add pages to the header, in this order. Registering one again replaces it."""
    PLACES.update({place.url_name: place for place in places})


def places_of(actor: Actor) -> list[Place]:
    """The pages that the actor finds in the header."""
    return [place for place in PLACES.values() if place.open_to(actor)]


def home_of(actor: Actor) -> str:
    """The URL name of the page where somebody begins who does not work the queue."""
    return next((place.url_name for place in places_of(actor) if place.home), "profile")
