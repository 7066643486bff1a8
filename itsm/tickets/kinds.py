"""What the spine must know of each kind of work: its flow, and the name of its page. Filled by config/wiring.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from itsm.tickets.flow import Flow

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of ticket: key on the spine, flow, the URL name of its page (by human number), and what it may wait for.

    ``waits`` are the reasons for waiting by their codes, as people call them.
    """

    key: str
    flow: Flow
    page: str
    waits: Mapping[str, _StrOrPromise] = field(default_factory=dict)


KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Make a kind known to lists and timelines. Registering it again replaces it."""
    KINDS[kind.key] = kind


def state_label(kind: str, code: int) -> str:
    """What people call a state; the bare code for a kind that this installation does not know."""
    known = KINDS.get(kind)
    if known is None or code not in known.flow.states:
        return str(code)
    return str(known.flow.states[code].label)


def states_called(text: str) -> list[tuple[str, int]]:
    """(kind, code) of every state that ``text`` names, by key (``on_hold``) or code (``3``); empty when none."""
    return [
        (kind.key, state.code)
        for kind in KINDS.values()
        for state in kind.flow.states.values()
        if text in (state.key, str(state.code))
    ]
