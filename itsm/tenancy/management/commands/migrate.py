"""Django's migrate, on the owner's connection: the role that the app runs as may not touch the schema.

Whoever waits for a table makes all readers of it wait behind him. So a migration waits for a short moment only, gives way,
and tries again; what it had begun is rolled back by then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.core.management.commands import migrate
from django.db import OperationalError, connections

LOCK_MILLISECONDS = 2000
TRIES = 60
PAUSE_SECONDS = 1.0
_LOCK_NOT_AVAILABLE = "55P03"


class Command(migrate.Command):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database=settings.DATABASE_ALIASES["owner"])

    def handle(self, *args: Any, **options: Any) -> None:
        for left in reversed(range(TRIES)):
            try:
                with _impatient(options["database"]):
                    super().handle(*args, **options)
                return
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", "") != _LOCK_NOT_AVAILABLE or not left:
                    raise
                self.stderr.write(f"A table is in use; the migration gave way and tries again ({left} tries left).")
                time.sleep(PAUSE_SECONDS)


@contextmanager
def _impatient(alias: str) -> Iterator[None]:
    """Wait for no lock longer than LOCK_MILLISECONDS on this connection."""
    _set(alias, f"{LOCK_MILLISECONDS}ms")
    try:
        yield
    finally:
        _set(alias, "0")


def _set(alias: str, timeout: str) -> None:
    connection = connections[alias]
    if connection.needs_rollback or (connection.connection is not None and connection.connection.closed):
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [timeout])
