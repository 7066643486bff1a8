"""Statements that may take longer than those of a page: reports, erasure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connection

#: Longer than a page, but not for ever.
_TIMEOUT_MS: Final = 60_000


@contextmanager
def patient(*, whole_tables: bool = False) -> Iterator[None]:
    """Let statements of this transaction run longer than those of a page usually may; ``whole_tables`` also plans for them.

    Just after an import the database has no statistics yet: it believes that nested loops over what was loaded are cheap.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout'), current_setting('enable_nestloop')")
        timeout, nested = cursor.fetchone()
        loops = "off" if whole_tables else nested
        cursor.execute(f"SET LOCAL statement_timeout = {_TIMEOUT_MS}; SET LOCAL enable_nestloop = {loops}")
        yield
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true), set_config('enable_nestloop', %s, true)",
            [timeout, nested],
        )
