"""The reject file: which lines were not imported, and why. Holds no cell of theirs, because those may be personal."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path
from typing import IO, Any

from incidents.importing.reader import Fault
from itsm.reports.tables import harmless

#: How many reasons a run shows by itself.
_SHOWN = 5


class Rejects:
    """Counts refusals, remembers the first ones, and writes all of them to a CSV file that appears with the first one.

    Without a path nothing is written. Each run writes the file anew, because each run reads the whole input.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.codes: Counter[str] = Counter()
        self.first: list[str] = []
        self._file: IO[str] | None = None
        self._writer: Any = None
        if path is not None:
            path.unlink(missing_ok=True)

    def add(self, line: int, number: str, fault: Fault) -> None:
        """Note one refusal. Raises OSError when the file cannot be written."""
        self.codes[fault.code] += 1
        if len(self.first) < _SHOWN:
            self.first.append(f"line {line}{f' ({number})' if number else ''}: {fault.reason}")
        if self.path is None:
            return
        if self._file is None:
            self._file = self.path.open("w", encoding="utf-8", newline="")
            self._writer = csv.writer(self._file)
            self._writer.writerow(["line", "number", "code", "reason"])
        self._writer.writerow([line, _cell(number), fault.code, _cell(fault.reason)])

    def close(self) -> None:
        """Make sure that the file is on disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None


def _cell(text: str) -> Any:
    """One line, and no formula, should somebody open the file in a spreadsheet."""
    return harmless("".join(char if char.isprintable() else " " for char in text))
