"""The fixture that other tests stand on: it commits, others see it, and nothing is left."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.db import connection

from itsm.events.models import Event
from tests.committed import CommittedDatabase
from tests.factories import make_desk

_COUNT = """
import django; django.setup()
from django.conf import settings
from itsm.tenancy.models import Tenant
from itsm.tenancy.context import tenant
from itsm.events.models import Event
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT current_user")
    role = cursor.fetchone()[0]
found = Tenant.objects.get(slug="acme")
with tenant(found.pk):
    print(role, Event.objects.filter(kind="incident.opened").count())
"""


def test_others_see_what_was_committed(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")
    desk.incident()
    seen: list[int] = []

    def count() -> None:
        with desk.inside():
            seen.append(Event.objects.filter(kind="incident.opened").count())

    committed_db.thread(count)
    committed_db.join()
    assert seen == [1]
    other = subprocess.run(
        [sys.executable, "-c", _COUNT], env=committed_db.environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert other.stdout.split() == ["itsm_app", "1"]


@pytest.mark.parametrize("turn", [1, 2])
def test_nothing_is_left(committed_db: CommittedDatabase, turn: int) -> None:
    with committed_db.connect("owner") as owner:
        for table in ("tenancy_tenant", "tenancy_user", "events_event", "tickets_ticket"):
            assert owner.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), (turn, table)
    make_desk("acme").incident()


@pytest.mark.django_db
def test_ordinary_tests_are_back_on_one_connection() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_user, current_user")
        assert cursor.fetchone() == ("itsm_owner", "itsm_app")
