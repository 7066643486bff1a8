"""From rows to cases: all rows of one incident, in the order of the file, or the reason why there is no such case."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final

from incidents.importing.reader import Fault, Row, Source, UnreadableFile

#: Most rows of one case; more is a sign that the wrong column is taken for the number.
ROWS_MAX: Final = 10_000
#: Files that the rows of a scattered file are dealt out to; one of them at a time is held in memory.
_PILES: Final = 64
_FAULTS_MAX: Final = 100


@dataclass(slots=True)
class RawCase:
    """The rows of one case as they stand in the file. With ``faults`` (line, reason), it is refused as a whole.

    Without a number it is a row of which nobody can say to which case it belongs.
    """

    number: str
    rows: list[Row] = field(default_factory=list)
    faults: list[tuple[int, Fault]] = field(default_factory=list)

    def refuse(self, line: int, fault: Fault) -> None:
        """Note a reason; a case that is bad all over needs no more than a hundred of them."""
        if len(self.faults) < _FAULTS_MAX:
            self.faults.append((line, fault))


@dataclass(slots=True)
class Scan:
    """What a first reading of the file tells, before anything is written."""

    rows: int = 0
    scattered_at: int = 0
    unreadable_at: int = 0

    @property
    def scattered(self) -> bool:
        return self.scattered_at > 0


def scan(source: Source) -> Scan:
    """Read the whole file once: is it complete, how many rows, do the rows of each case stand together?

    Keeps eight bytes of each case's number in a set (about 90 bytes a case). Raises UnreadableFile.
    """
    found = Scan()
    position = source.cell("number")
    seen: set[bytes] = set()
    current = None
    for row in source.rows():
        found.rows += 1
        number = _number(row, position, source)
        if not number:
            found.unreadable_at = found.unreadable_at or row.line
        if source.mapping.rows == "record" or not number or number == current:
            continue
        key = hashlib.blake2b(number.encode("utf-8", "replace"), digest_size=8).digest()
        if key in seen:
            found.scattered_at = found.scattered_at or row.line
        seen.add(key)
        current = number
    if found.scattered and found.unreadable_at:
        raise UnreadableFile(
            f"The rows of a case do not stand together (line {found.scattered_at}), and line {found.unreadable_at} has "
            "no readable number, so it could belong to any case. Mend that line, or sort the file by number."
        )
    return found


def cases(source: Source, found: Scan) -> Iterator[RawCase]:
    """All cases. A scattered file is dealt out to temporary files first, so that memory stays bounded."""
    if source.mapping.rows == "record":
        yield from _records(source)
    elif found.scattered:
        yield from _scattered(source)
    else:
        yield from _contiguous(source)


def _contiguous(source: Source) -> Iterator[RawCase]:
    position = source.cell("number")
    current: RawCase | None = None
    doubt: tuple[int, Fault, str | None] | None = None
    for row in source.rows():
        number = _number(row, position, source)
        shaken = row.fault is not None and row.fault.code in {"wrong_width", "bad_csv"}
        if not number or (shaken and (current is None or number != current.number)):
            # It may be a row of the case before it, of the one after it, or one of its own.
            fault = row.fault or Fault("no_number", "the row has no number.")
            yield RawCase("", [row], [(row.line, fault)])
            doubt = doubt or (row.line, fault, number)
            continue
        if current is not None and doubt is not None and doubt[2] != number:
            current.refuse(doubt[0], _beside(doubt[1]))
        if current is None or number != current.number:
            if current is not None:
                yield current
            current = RawCase(number)
            if doubt is not None:
                current.refuse(doubt[0], _beside(doubt[1]))
        doubt = None
        _add(current, row)
    if current is not None:
        if doubt is not None:
            current.refuse(doubt[0], _beside(doubt[1]))
        yield current


def _beside(fault: Fault) -> Fault:
    return Fault(
        "row_beside_unreadable", f"a row beside it, which may be one of its rows, cannot be read: {fault.reason}"
    )


def _records(source: Source) -> Iterator[RawCase]:
    position = source.cell("number")
    times: dict[str, int] = {}
    for row in source.rows():
        number = _number(row, position, source)
        fault = row.fault or (None if number else Fault("no_number", "the row has no number."))
        if number:
            times[number] = times.get(number, 0) + 1
            if times[number] > 1 and source.mapping.repeated == "count":
                number = f"{number}#{times[number]}"
            elif times[number] > 1:
                fault = fault or Fault("repeated_number", "a record with this number stands in an earlier line.")
        yield RawCase(number or "", [row], [(row.line, fault)] if fault else [])


def _scattered(source: Source) -> Iterator[RawCase]:
    position = source.cell("number")
    with tempfile.TemporaryDirectory(prefix="viable-import-") as folder:
        piles: list[IO[bytes]] = [open(f"{folder}/{n}", "w+b") for n in range(_PILES)]  # noqa: SIM115 - closed below
        try:
            for row in source.rows():
                number = _number(row, position, source) or ""
                pile = piles[hashlib.blake2b(number.encode("utf-8", "replace"), digest_size=1).digest()[0] % _PILES]
                pickle.dump((number, tuple(row)), pile, protocol=5)
            for pile in piles:
                pile.seek(0)
                yield from _pile(pile)
        finally:
            for pile in piles:
                pile.close()


def _pile(pile: IO[bytes]) -> Iterator[RawCase]:
    gathered: dict[str, RawCase] = {}
    while True:
        try:
            number, (line, cells, fault) = pickle.load(pile)  # noqa: S301 - written by this process a moment ago
        except EOFError:
            break
        _add(gathered.setdefault(number, RawCase(number)), Row(line, cells, fault))
    yield from gathered.values()


def _add(case: RawCase, row: Row) -> None:
    if row.fault is not None:
        case.refuse(row.line, row.fault)
    if len(case.rows) < ROWS_MAX:
        case.rows.append(row)
    else:
        case.refuse(row.line, Fault("too_many_rows", f"the case has more than {ROWS_MAX} rows."))


def _number(row: Row, position: int | None, source: Source) -> str | None:
    """The case that a row belongs to, or None when the row does not say so reliably."""
    if position is None or position >= len(row.cells):
        return None
    number = row.cells[position].strip()
    if row.fault is not None and "\ufffd" in number:
        return None
    return number if number not in source.mapping.missing and len(number) <= 70 else None
