"""Real PostgreSQL, created and migrated by the owner, then used as the role that the product runs as."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import setup_databases, teardown_databases
from django.utils import translation

from tests.committed import CommittedDatabase, committed_database, redis_url
from tests.copied import copied_desk
from tests.factories import Desk
from tests.reached import Reached


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-route",
        action="store_true",
        help="fail when an address, a verb or a management command was used by no test",
    )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Trylast: Django must be set up, which pytest-django does."""
    settings.CACHES["default"]["LOCATION"] = redis_url(8)
    reached = Reached(config)
    reached.listen()
    config.pluginmanager.register(reached, "reached")


@pytest.fixture(autouse=True)
def _nobodys_language() -> Iterator[None]:
    """A page outside every tenant leaves its reader's language in force, as Django does: the next test begins without."""
    yield
    translation.deactivate()


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    django_test_environment: None,
    django_db_blocker: Any,
    django_db_keepdb: bool,
    django_db_createdb: bool,
    django_db_modify_db_settings: None,
) -> Iterator[None]:
    """Create and migrate as the owner; once the schema stands, every test works as the app role.

    Replaces pytest-django's own, which creates no database for a run in which only ``committed_db`` is asked for.
    """
    verbosity = request.config.option.verbose
    with django_db_blocker.unblock():
        created = setup_databases(
            verbosity=verbosity,
            interactive=False,
            aliases={"default"},
            serialized_aliases=set(),
            keepdb=django_db_keepdb and not django_db_createdb,
        )
        connection.settings_dict["OPTIONS"]["assume_role"] = settings.DATABASE_ROLES["app"]
        connection.close()
    yield
    with django_db_blocker.unblock():
        connection.settings_dict["OPTIONS"].pop("assume_role")
        connection.close()
        if not django_db_keepdb:
            teardown_databases(created, verbosity=verbosity)


@pytest.fixture
def committed_db(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any, tmp_path: Path
) -> Iterator[CommittedDatabase]:
    """A database in which everything is really committed, and removed afterwards. Not together with ``db``.

    For tests with threads, processes, a Celery worker or a live server; everything else takes ``db``, which is faster
    (this costs about 0.2 s). While it lasts, Django's aliases are what they are in production: "default" and "numbers"
    log in as the app role, "platform" and "owner" as theirs, each a connection of its own. Make desks yourself:
    ``desk = make_desk("acme")``. Threads: ``committed_db.thread(function)`` and ``committed_db.join()``, which close
    their connections. Processes: ``subprocess.Popen([...], env=committed_db.environ)``, which runs them with
    config.settings.dev on this database, on a Valkey database of their own and with files under ``committed_db.media``.
    Raw SQL: ``committed_db.connect("app" | "owner" | "platform")``. End your processes before the test ends.
    """
    if {"db", "transactional_db", "acme", "globex", "inside"} & set(request.fixturenames):
        pytest.fail("committed_db commits; it cannot be used together with db, acme, globex or inside")
    with django_db_blocker.unblock(), committed_database(tmp_path) as database:
        yield database


@pytest.fixture
def acme(db: None) -> Desk:
    """A tenant with one person per role, two open teams and a restricted one."""
    return copied_desk("acme")


@pytest.fixture
def globex(db: None) -> Desk:
    """Another tenant of the same shape, to look for leaks."""
    return copied_desk("globex")


@pytest.fixture
def inside(acme: Desk) -> Iterator[Desk]:
    """acme, with the test's own code running inside it (for reading rows directly)."""
    with acme.inside():
        yield acme
