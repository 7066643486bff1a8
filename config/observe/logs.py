"""Log lines: one per event, with the ids of request, tenant, actor and task, and with nothing that somebody typed."""

from __future__ import annotations

import json
import logging
import time
import traceback
from datetime import UTC, datetime
from typing import Any

from django.db import OperationalError
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from itsm.kernel.trace import trace
from itsm.tenancy.context import current_tenant_id

#: What a record may carry beside its message (``extra=``). Anything else stays out: it could be a text or a secret.
FIELDS = (
    "method", "route", "status", "ms", "outcome",
    "event_id", "delivery_id", "ticket_id", "clock_id", "run_id", "attachment_id", "dispatch_id", "tenant_id", "clocks",
    "fires",
)  # fmt: skip
#: Their messages come from engines and the network. All others may quote a value that somebody typed.
_SPEAKS = (OSError, OperationalError, BrokerError, RedisError)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The ids in force and the record's own fields."""
    fields: dict[str, Any] = dict(trace())
    if (tenant_id := current_tenant_id()) is not None:
        fields.setdefault("tenant_id", str(tenant_id))
    fields.update({name: getattr(record, name) for name in FIELDS if hasattr(record, name)})
    return fields


def describe(error: BaseException) -> dict[str, Any]:
    """An exception without its message: type, SQLSTATE, the places it came through, and what caused it."""
    found: dict[str, Any] = {"type": f"{type(error).__module__}.{type(error).__qualname__}"}
    if isinstance(error, _SPEAKS):
        found["says"] = next(iter(str(error).splitlines()), "")[:300]
    if state := getattr(error, "sqlstate", None):
        found["sqlstate"] = state
    frames = traceback.extract_tb(error.__traceback__)
    found["stack"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-30:]]
    if error.__cause__ is not None:
        found["cause"] = describe(error.__cause__)
    return found


class JsonFormatter(logging.Formatter):
    """One JSON object per line, for machines that collect lines."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = describe(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


class LineFormatter(logging.Formatter):
    """The same for people: a plain line with the ids behind it, and whole tracebacks."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s%(fields)s")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        record.fields = "".join(f" {name}={value}" for name, value in fields_of(record).items())
        return super().format(record)


class WithoutPath(logging.Filter):
    """Django names the path of a request that failed, and a path may hold the secret of an invitation."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 0) == 503 or not record.exc_info:
            return False  # said already, where it was told apart
        if isinstance(record.args, tuple) and record.args:
            record.msg, record.args = "%s", record.args[:1]
        return True
