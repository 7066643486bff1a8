"""Instants come out of the database in UTC and to the microsecond, by psycopg's own reader."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import DataError, connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.django_db
FIRST, LAST = datetime.fromisoformat("0001-01-02"), datetime.fromisoformat("9999-12-30")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.none() | st.datetimes(FIRST, LAST, timezones=st.just(UTC)), max_size=4))
def test_what_goes_in_comes_out(instants: list[datetime | None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz[]", [instants])
        (found,) = cursor.fetchone()
        assert found == instants
        assert all(one is None or one.tzinfo is UTC for one in found)
        for one in instants:
            cursor.execute("SELECT %s::timestamptz", [one])
            assert cursor.fetchone() == (one,)


def test_the_session_speaks_utc_and_what_python_cannot_say_is_an_error() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW TimeZone")
        assert cursor.fetchone() == ("UTC",)
        cursor.execute("SELECT '2026-11-22 12:00+09'::timestamptz")
        assert cursor.fetchone() == (datetime(2026, 11, 22, 3, tzinfo=UTC),)
        cursor.execute("SELECT 'infinity'::timestamptz")
        with pytest.raises(DataError):
            cursor.fetchall()
