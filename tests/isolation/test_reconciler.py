"""The reconciler mends by itself what is safe, and writes an ordinary migration for tables in use."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test.utils import override_settings

from itsm.tenancy.reconciler import after_migrate, plan
from itsm.tickets.commands import watch_ticket
from tests.committed import CommittedDatabase
from tests.factories import make_desk

DROP_KEY = "ALTER TABLE tickets_watcher DROP CONSTRAINT tickets_watcher_ticket_id_tenant_fk"
DROP_PRIMARY = "ALTER TABLE tickets_watcher DROP CONSTRAINT tickets_watcher_pkey, ADD PRIMARY KEY (id)"
DROP_ALL = (
    f"{DROP_KEY}; {DROP_PRIMARY}; DROP POLICY tenant_isolation ON tickets_watcher; "
    "ALTER TABLE tickets_watcher DISABLE ROW LEVEL SECURITY; REVOKE ALL ON tickets_watcher FROM itsm_app"
)


@pytest.fixture
def broken(committed_db: CommittedDatabase) -> Iterator[CommittedDatabase]:
    """A database whose wall a test may damage at tickets_watcher; whole again afterwards, whatever happened."""
    yield committed_db
    committed_db.truncate()
    after_migrate("owner", verbosity=0)
    assert plan(connections["owner"]) == []


def test_an_empty_table_gets_all_of_it_at_once(broken: CommittedDatabase) -> None:
    with broken.connect("owner") as owner:
        owner.execute(DROP_ALL)
    assert len(plan(connections["owner"])) == 5
    after_migrate("owner", verbosity=0)
    assert plan(connections["owner"]) == []
    after_migrate("owner", verbosity=0)


def test_check_says_what_differs_and_changes_nothing(broken: CommittedDatabase) -> None:
    call_command("reconcile_tenancy", "--check")
    with broken.connect("owner") as owner:
        owner.execute(DROP_KEY)
    out = StringIO()
    for _ in range(2):
        with pytest.raises(CommandError, match="1 differences") as refused:
            call_command("reconcile_tenancy", "--check", stdout=out)
        assert refused.value.returncode == 1
    assert out.getvalue() == "tickets_watcher: ticket_id could refer to another tenant\n" * 2


def test_a_table_in_use_gets_a_migration_that_applies(
    broken: CommittedDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = make_desk("acme")
    watch_ticket(actor=desk.actor("agent"), ticket_id=desk.incident().pk)
    with broken.connect("owner") as owner:
        owner.execute(DROP_ALL)
    after_migrate("owner")
    assert "need a migration" in capsys.readouterr().out
    left = [step.reason for step in plan(connections["owner"])]
    assert left == ["primary key is not (tenant_id, id)", "ticket_id could refer to another tenant"]

    folder = tmp_path / "watch_migrations"
    import itsm.tickets.migrations as real

    shutil.copytree(Path(real.__path__[0]), folder, ignore=shutil.ignore_patterns("__pycache__"))
    sys.path.insert(0, str(tmp_path))
    try:
        with override_settings(MIGRATION_MODULES={"tickets": "watch_migrations"}):
            out = StringIO()
            call_command("reconcile_tenancy", "--write-migration", "tickets", stdout=out)
            written = Path(out.getvalue().strip())
            assert written.parent == folder
            text = written.read_text()
            for needed in ("CONCURRENTLY", "NOT VALID", "VALIDATE CONSTRAINT", "lock_timeout", "atomic = False"):
                assert needed in text
            importlib.invalidate_caches()
            call_command("migrate", "tickets", database="owner", verbosity=0)
            assert plan(connections["owner"]) == []
            # Repeating it is harmless: a run that was cut off is simply run again.
            with broken.connect("owner") as owner:
                owner.execute("DELETE FROM django_migrations WHERE name = %s", [written.stem])
            call_command("migrate", "tickets", database="owner", verbosity=0)
            call_command("reconcile_tenancy", "--check")
    finally:
        sys.path.remove(str(tmp_path))
        for name in [n for n in sys.modules if n.startswith("watch_migrations")]:
            del sys.modules[name]
        with broken.connect("owner") as owner:
            owner.execute("DELETE FROM django_migrations WHERE name LIKE '%tenant_keys'")


def test_nothing_to_write(broken: CommittedDatabase) -> None:
    out = StringIO()
    call_command("reconcile_tenancy", "--write-migration", "tickets", stdout=out)
    assert out.getvalue() == "Nothing to write for tickets.\n"
