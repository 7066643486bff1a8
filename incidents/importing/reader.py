"""Reading rows as a stream: CSV or JSON lines, plain or gzip, whatever the bytes are. A bad row is never raised."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import orjson

from incidents.importing.mapping import Mapping

#: Longest line that is read, in bytes; the rest of a longer one is skipped unseen.
LINE_MAX: Final = 2 * 1024 * 1024
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"


class UnreadableFile(ValueError):
    """The file as a whole cannot be imported: missing, cut off, of another shape. Says the remedy."""


class Fault(NamedTuple):
    """Why a row is bad: a stable code and a reason for people."""

    code: str
    reason: str


class Row(NamedTuple):
    """One row: its first line (1 is the first of the file), its cells, and what is wrong with it, if anything is."""

    line: int
    cells: list[str]
    fault: Fault | None = None


class Source:
    """A file and its mapping. ``index`` leads from a column's name to its cell; rows() may be called repeatedly."""

    def __init__(self, path: Path, mapping: Mapping) -> None:
        self.path = path
        self.mapping = mapping
        self.wanted = tuple(dict.fromkeys((*mapping.columns.values(), *mapping.keep.values())))
        self.index = self._index()

    def cell(self, meaning: str) -> int | None:
        """Position of the cell with this meaning; None when the mapping has no column for it."""
        column = self.mapping.columns.get(meaning)
        return None if column is None else self.index[column]

    def rows(self) -> Iterator[Row]:
        """All rows in the order of the file. Raises UnreadableFile when the file ends in the middle."""
        with self._open() as stream:
            lines = _Lines(stream, self.mapping.encoding)
            try:
                yield from self._csv(lines) if self.mapping.kind == "csv" else self._json(lines)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise self._damaged(lines, error) from None
            except OSError as error:
                raise UnreadableFile(
                    f"{self.path} cannot be read after line {lines.number}: {error.strerror}."
                ) from None

    def _damaged(self, lines: _Lines, error: Exception) -> UnreadableFile:
        return UnreadableFile(f"{self.path} is damaged after line {lines.number}: {error}. Fetch it again.")

    def _open(self) -> io.BufferedReader:
        try:
            stream = self.path.open("rb")
        except OSError as error:
            raise UnreadableFile(f"{self.path} cannot be opened: {error.strerror}.") from None
        try:
            if stream.peek(2)[:2] != _GZIP:
                return stream
        except OSError as error:
            stream.close()
            raise UnreadableFile(f"{self.path} cannot be read: {error.strerror}.") from None
        return io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=stream)), 1 << 18)

    def _index(self) -> dict[str, int]:
        if self.mapping.kind == "jsonl":
            with self._open():
                return {column: position for position, column in enumerate(self.wanted)}
        with self._open() as stream:
            lines = _Lines(stream, self.mapping.encoding)
            try:
                header = next(csv.reader(lines, delimiter=self.mapping.delimiter, strict=True), None)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise self._damaged(lines, error) from None
            except (csv.Error, OSError) as error:
                raise UnreadableFile(f"{self.path} has no readable first line: {error}.") from None
        if header is None:
            raise UnreadableFile(f"{self.path} is empty.")
        if fault := lines.fault_in(1, lines.number):
            raise UnreadableFile(f"The first line of {self.path} should name the columns, but {fault.reason}")
        names = [name.strip() for name in header]
        if missing := [name for name in self.wanted if name not in names]:
            raise UnreadableFile(
                f"{self.path} has no column {', '.join(missing)}. It has: {', '.join(names)[:500]}. "
                f"Name its columns in a mapping file (its delimiter is taken to be {self.mapping.delimiter!r})."
            )
        if twice := [name for name in self.wanted if names.count(name) > 1]:
            raise UnreadableFile(f"{self.path} has the column {', '.join(twice)} twice: which one is meant?")
        return {name: position for position, name in enumerate(names)}

    def _csv(self, lines: _Lines) -> Iterator[Row]:
        reader = csv.reader(lines, delimiter=self.mapping.delimiter, strict=True)
        width = len(next(reader))
        while True:
            first = lines.number + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                lines.fault_in(first, lines.number)
                yield Row(first, [], Fault("bad_csv", f"lines {first} to {lines.number} are no CSV row: {error}."))
                continue
            if lines.faults and (fault := lines.fault_in(first, lines.number)):
                yield Row(first, cells, fault)
            elif len(cells) == width:
                yield Row(first, cells)
            elif cells:
                yield Row(first, cells, Fault("wrong_width", f"the row has {len(cells)} cells, the header {width}."))

    def _json(self, lines: _Lines) -> Iterator[Row]:
        for text in lines:
            line = lines.number
            if lines.faults and (fault := lines.fault_in(line, line)):
                yield Row(line, [], fault)
                continue
            if not text.strip():
                continue
            try:
                record = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                yield Row(line, [], Fault("bad_json", f"the line is no JSON: {error}."))
                continue
            if not isinstance(record, dict):
                yield Row(line, [], Fault("bad_json", "the line is no JSON object."))
                continue
            cells = [_plain(record.get(column)) for column in self.wanted]
            kept = [cell if cell is not None else "" for cell in cells]
            if None in cells:
                column = self.wanted[cells.index(None)]
                yield Row(line, kept, Fault("bad_value", f"{column} is neither text nor a reference."))
            elif any("\x00" in cell for cell in kept):
                yield Row(line, kept, Fault("nul_character", "the row contains a NUL character."))
            else:
                yield Row(line, kept)


def _plain(value: Any) -> str | None:
    """A JSON value as a cell; a reference as its display value. None for what cannot be one."""
    if isinstance(value, dict):
        value = value.get("display_value", value.get("value"))
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else None


class _Lines:
    """Lines as text. What could not be decoded is remembered under its number, and handed on in a harmless form."""

    def __init__(self, stream: io.BufferedReader, encoding: str) -> None:
        self.stream = stream
        self.encoding = encoding
        self.number = 0
        self.faults: dict[int, Fault] = {}

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        data = self.stream.readline(LINE_MAX)
        if not data:
            raise StopIteration
        self.number += 1
        if self.number == 1 and data.startswith(_BOM):
            data = data[len(_BOM) :]
        if len(data) == LINE_MAX and not data.endswith(b"\n"):
            self._skip()
            self.faults[self.number] = Fault("line_too_long", f"line {self.number} is longer than {LINE_MAX} bytes.")
            return "\n"
        try:
            text = data.decode(self.encoding)
        except UnicodeDecodeError as error:
            self.faults[self.number] = Fault(
                "bad_encoding",
                f"line {self.number} is not {self.encoding}: byte {data[error.start]:#04x} at {error.start + 1}.",
            )
            return data.decode(self.encoding, errors="replace").replace("\x00", "\ufffd")
        if "\x00" in text:
            self.faults[self.number] = Fault("nul_character", f"line {self.number} contains a NUL character.")
            return text.replace("\x00", "\ufffd")
        return text

    def fault_in(self, first: int, last: int) -> Fault | None:
        """The first fault of these lines; it is forgotten, as are all before it."""
        found = None
        for line in sorted(self.faults):
            if line <= last:
                fault = self.faults.pop(line)
                found = found or (fault if line >= first else None)
        return found

    def _skip(self) -> None:
        while True:
            data = self.stream.readline(LINE_MAX)
            if not data or data.endswith(b"\n"):
                return
