"""The query string: only what an endpoint lists is accepted; anything else is a 400 that names it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import QueryDict

from itsm.kernel.errors import FieldProblem, Invalid
from itsm.kernel.ids import is_uuid

VALUE_MAX = 2000
_RFC3339 = re.compile(r"\A\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z")


def bad_parameter(name: str, code: str, detail: str) -> Invalid:
    """A refusal that names a query parameter."""
    return Invalid([FieldProblem(f"?{name}", code, detail)], detail)


def parameters(query: QueryDict, allowed: Iterable[str]) -> dict[str, str]:
    """The parameters, each at most once. Raises Invalid for an unknown, repeated, over-long or unreadable one."""
    known = sorted(allowed)
    found: dict[str, str] = {}
    for name, values in query.lists():
        shown = name[:60]
        if name not in known:
            raise bad_parameter(
                shown, "unknown_parameter", f"Unknown parameter {shown}. Known here: {', '.join(known)}."
            )
        if len(values) > 1:
            raise bad_parameter(
                name, "repeated_parameter", f"{name} is given {len(values)} times. Separate values by commas."
            )
        value = str(values[0])
        if "\x00" in value or "\ufffd" in value:
            raise bad_parameter(
                name, "unreadable", f"{name} is not readable text: percent-encode it as UTF-8, without NUL."
            )
        if len(value) > VALUE_MAX:
            raise bad_parameter(name, "too_long", f"{name} is longer than {VALUE_MAX} characters.")
        found[name] = value
    return found


def choice(name: str, value: str, choices: Mapping[str, Any]) -> Any:
    """What ``value`` stands for. Raises Invalid listing the choices."""
    if value not in choices:
        raise bad_parameter(name, "unknown_value", f"{name} must be one of {', '.join(choices)}.")
    return choices[value]


def many(name: str, value: str, parse: Callable[[str, str], Any], limit: int = 50) -> list[Any]:
    """A comma-separated list of at most ``limit`` values."""
    parts = [part.strip() for part in value.split(",")]
    if len(parts) > limit:
        raise bad_parameter(name, "too_many", f"{name} takes at most {limit} values.")
    return [parse(name, part) for part in parts]


def uuid_value(name: str, value: str) -> UUID:
    """A UUID in its usual form."""
    if not is_uuid(value):
        raise bad_parameter(name, "not_an_id", f"{name} must be an id such as 0190c2a1-…-….")
    return UUID(value)


def whole(name: str, value: str, low: int, high: int) -> int:
    """A whole number between ``low`` and ``high``."""
    if not re.fullmatch(r"[0-9]{1,19}", value) or not low <= int(value) <= high:
        raise bad_parameter(name, "out_of_range", f"{name} must be a whole number from {low} to {high}.")
    return int(value)


def yes_or_no(name: str, value: str) -> bool:
    """true or false."""
    return bool(choice(name, value, {"true": True, "false": False}))


def instant(name: str, value: str) -> datetime:
    """An RFC 3339 time with its zone, in UTC."""
    if _RFC3339.match(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise bad_parameter(
        name, "not_a_time", f"{name} must be an RFC 3339 time such as 2026-03-01T09:30:00Z (a + is written %2B)."
    )
