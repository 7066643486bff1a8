"""A flow: which verb leads from which state to which. Each practice states its own as one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils import translation

from itsm.kernel.errors import IllegalTransition
from itsm.tickets.models import StateCategory


@dataclass(frozen=True, slots=True)
class State:
    """One state: the code on the wire, its label and what it means to clocks, queues and reports."""

    code: int
    key: str
    label: str
    category: StateCategory

    @property
    def name(self) -> str:
        """The label in English, whoever asks: for what programs read and the log keeps."""
        with translation.override("en"):
            return str(self.label)


@dataclass(frozen=True, slots=True)
class Flow:
    """States by code, and for each verb the codes it may start from and the one it leads to (None: stays)."""

    states: Mapping[int, State]
    moves: Mapping[str, tuple[frozenset[int], int | None]]

    def state(self, code: int) -> State:
        return self.states[code]

    def allowed(self, code: int) -> list[str]:
        """The verbs that state ``code`` allows, in the order of the table."""
        return [verb for verb, (sources, _) in self.moves.items() if code in sources]

    def move(self, verb: str, code: int) -> State:
        """The state that ``verb`` leads to from ``code``; raises IllegalTransition."""
        sources, target = self.moves[verb]
        if code not in sources:
            source = self.states[code]
            raise IllegalTransition(verb, source.name, self.allowed(code), state_key=source.key)
        return self.states[code if target is None else target]
