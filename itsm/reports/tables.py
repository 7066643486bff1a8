"""A report as rows, for people and for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def rows(report: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Every figure as (name, key, value); single figures have no key."""
    for name, value in report.items():
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield name, str(key), item
        elif isinstance(value, Sequence) and not isinstance(value, str):
            for item in value:
                if isinstance(item, Sequence) and not isinstance(item, str):
                    yield name, str(item[0]), item[1]
                else:
                    yield name, "", item
        else:
            yield name, "", value


def as_csv(report: Mapping[str, Any]) -> str:
    """The report as CSV (UTF-8 with a byte order mark, so that spreadsheets read it right; no cell is a formula)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["figure", "key", "value"])
    for name, key, value in rows(report):
        writer.writerow([name, harmless(key), "" if value is None else harmless(value)])
    return "\ufeff" + out.getvalue()


def harmless(value: Any) -> Any:
    """The value as a cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value
