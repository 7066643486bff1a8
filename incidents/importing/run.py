"""One import from beginning to end: read, group, translate, write batch by batch, and say what came of it.

What is committed is the truth: after a crash the same call goes on where it stopped, and a second call writes nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db import IntegrityError

from incidents.importing.ahead import ahead
from incidents.importing.cases import RawCase, Scan, cases
from incidents.importing.directory import Directory
from incidents.importing.history import Written, differs, import_history, known_cases
from incidents.importing.live import import_live
from incidents.importing.progress import Advance
from incidents.importing.reader import Fault, Source
from incidents.importing.rejects import Rejects
from incidents.importing.translate import Case, Refused, Translator
from itsm.events.write import record_refusal
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError
from itsm.tenancy.context import tenant

#: Most rows in one transaction: about 150 ms on a machine that has nothing else to do.
BATCH: Final = 1000
#: Seconds after which a transaction was too long; the next one gets half as many rows.
LONGEST: Final = 0.3


@dataclass
class Outcome:
    """What an import did, or would do. ``states`` counts rows by the other system's state."""

    rows: int = 0
    cases: int = 0
    written: int = 0
    events: int = 0
    there: int = 0
    differing: int = 0
    ended: int = 0
    refused_cases: int = 0
    refused_rows: int = 0
    states: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Batch:
    """What was read for one transaction: the cases, and the account of what is not among them."""

    cases: list[Case] = field(default_factory=list)
    rows: int = 0
    numbers: int = 0
    ended: int = 0
    refused_cases: int = 0
    refused_rows: int = 0
    faults: list[tuple[int, str, Fault]] = field(default_factory=list)


class Import:
    """``run`` writes; ``rehearse`` does everything but that."""

    def __init__(
        self, source: Source, tenant_id: UUID, rejects: Rejects, *, batch: int = BATCH, live: bool = False
    ) -> None:
        self.source, self.rejects, self.batch, self.live = source, rejects, batch, live
        self.name = source.mapping.source
        self.actor = Actor.system(tenant_id, "import")
        self.directory = Directory(tenant_id, self.name, source.mapping.people)
        self.outcome = Outcome()
        #: Rows that go into one transaction now.
        self.pace = batch

    def run(self, found: Scan, advance: Advance) -> Outcome:
        """Import everything that can be, committing batch by batch. Raises Forbidden."""
        self._each(found, advance, self._write_live if self.live else self._write)
        return self.outcome

    def rehearse(self, found: Scan, advance: Advance) -> Outcome:
        """Read and translate everything, ask what is here already, and write nothing."""
        self._each(found, advance, self._count)
        return self.outcome

    def _each(self, found: Scan, advance: Advance, deal: Callable[[list[Case]], None]) -> None:
        # Reading goes on in a thread of its own while the database writes: each has one of two cores.
        for batch in ahead(self._batches(found)):
            self._account(batch)
            deal(batch.cases)
            advance(batch.rows)

    def _account(self, batch: Batch) -> None:
        outcome = self.outcome
        outcome.rows += batch.rows
        outcome.cases += batch.numbers
        outcome.ended += batch.ended
        outcome.refused_rows += batch.refused_rows
        outcome.refused_cases += batch.refused_cases
        for case in batch.cases:
            outcome.states.update(step.source_state for step in case.steps)
        for line, number, fault in batch.faults:
            self.rejects.add(line, number, fault)

    def _batches(self, found: Scan) -> Iterator[Batch]:
        translator = Translator(self.source)
        batch, size = Batch(), 0
        for raw in cases(self.source, found):
            batch.rows += len(raw.rows)
            case = self._translated(raw, translator, batch)
            if case is not None:
                batch.cases.append(case)
                size += len(case.steps)
            batch.faults += [(line, raw.number, fault) for line, fault in raw.faults]
            if size >= self.batch or batch.rows >= 4 * self.batch:
                yield batch
                batch, size = Batch(), 0
        yield batch

    def _translated(self, raw: RawCase, translator: Translator, batch: Batch) -> Case | None:
        if not raw.number:
            batch.refused_rows += 1
            return None
        batch.numbers += 1
        if not raw.faults:
            try:
                case = translator.case(raw)
            except Refused as error:
                raw.refuse(error.line, error.fault)
            else:
                if not self.live or case.is_open:
                    return case
                batch.ended += 1
                return None
        batch.refused_cases += 1
        return None

    def _write(self, batch: list[Case]) -> None:
        """Write a batch in as many transactions as it takes to keep each of them short, however busy the machine is."""
        rest = batch
        while rest:
            part, rest = _rows_of(rest, self.pace)
            begun = time.monotonic()
            self._write_part(part)
            took = time.monotonic() - begun
            if took > LONGEST:
                self.pace = max(self.pace // 2, 1)
            elif took < LONGEST / 3:
                self.pace = min(self.pace * 2, self.batch)

    def _write_part(self, batch: list[Case]) -> None:
        try:
            written = self._import(batch)
        except IntegrityError:
            # Somebody made the same team, person or case at the same moment. It is there now: the second try finds it.
            written = self._import(batch)
        self.outcome.written += written.cases
        self.outcome.events += written.events
        self.outcome.there += written.there
        for case in written.differing:
            self._differs(case)

    def _import(self, batch: list[Case]) -> Written:
        return import_history(actor=self.actor, source=self.name, cases=batch, directory=self.directory)

    def _write_live(self, batch: list[Case]) -> None:
        for case in batch:
            try:
                done = import_live(actor=self.actor, source=self.name, case=case, directory=self.directory)
            except DomainError as error:
                self.outcome.refused_cases += 1
                self.rejects.add(case.line, case.number, Fault(error.code, error.detail))
                record_refusal(self.actor, error, "incident.import")
                continue
            self.outcome.written += done.cases
            self.outcome.events += done.events
            self.outcome.there += done.there
            for other in done.differing:
                self._differs(other)

    def _count(self, batch: list[Case]) -> None:
        with tenant(self.actor.tenant_id):
            known = known_cases(self.actor.tenant_id, self.name, batch)
        for case in batch:
            if case.number not in known:
                self.outcome.written += 1
                self.outcome.events += len(case.steps)
            else:
                self.outcome.there += 1
                if differs(case, known[case.number]):
                    self._differs(case)

    def _differs(self, case: Case) -> None:
        self.outcome.differing += 1
        reason = "it was imported before, with other rows; history is not rewritten, so it stays as it is."
        self.rejects.add(case.line, case.number, Fault("differs", reason))


def _rows_of(cases: list[Case], most: int) -> tuple[list[Case], list[Case]]:
    """The first cases, with ``most`` rows or one case more than fits, and the others."""
    rows = 0
    for position, case in enumerate(cases):
        rows += len(case.steps)
        if rows >= most:
            return cases[: position + 1], cases[position + 1 :]
    return cases, []
