"""Real PostgreSQL, created and migrated by the owner, then used as the role that the product runs as."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from tests.factories import Desk, make_desk


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: Any, django_db_blocker: Any) -> Iterator[None]:
    """Once the schema stands, every test works as the app role, under row-level security."""
    with django_db_blocker.unblock():
        connection.settings_dict["OPTIONS"]["assume_role"] = settings.DATABASE_ROLES["app"]
        connection.close()
    yield
    with django_db_blocker.unblock():
        connection.settings_dict["OPTIONS"].pop("assume_role")
        connection.close()


@pytest.fixture
def acme(db: None) -> Desk:
    """A tenant with one person per role, two open teams and a restricted one."""
    return make_desk("acme")


@pytest.fixture
def globex(db: None) -> Desk:
    """Another tenant of the same shape, to look for leaks."""
    return make_desk("globex")


@pytest.fixture
def inside(acme: Desk) -> Iterator[Desk]:
    """acme, with the test's own code running inside it (for reading rows directly)."""
    with acme.inside():
        yield acme
