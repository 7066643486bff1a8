"""A migration must not stop the product: what it may do beside running code, and how long it waits for a lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.commands import migrate as djangos
from django.db import OperationalError, connection, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django_migration_linter.sql_analyser import analyse_sql_statements
from django_migration_linter.sql_analyser.postgresql import PostgresqlAnalyser

from itsm.tenancy.management.commands import migrate
from tests.committed import CommittedDatabase

OURS = ("tenancy", "access", "events", "tickets", "api", "incidents")
#: Older than the first release: they met no rows and no running code. Nothing is added here after it.
BEFORE_THE_FIRST_RELEASE = {
    ("access", "0002_before_the_tenant"): {"CREATE_INDEX"},
    ("tickets", "0001_initial"): {"CREATE_INDEX"},
    ("tickets", "0002_search"): {"CREATE_INDEX"},
    ("tickets", "0007_settings_of_everybody"): {"DROP_COLUMN"},
}


def lint(statements: list[str]) -> set[str]:
    """The codes of what is unsafe. A warning of the linter (an index that locks its table) counts as much as an error."""
    errors, _, warnings = analyse_sql_statements(PostgresqlAnalyser, statements)
    return {issue.code for issue in (*errors, *warnings)}


def ours() -> list[tuple[str, str]]:
    return sorted(key for key in MigrationLoader(None, ignore_no_migrations=True).disk_migrations if key[0] in OURS)


@pytest.fixture(scope="module")
def outside_a_transaction(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Where a migration with ``atomic = False`` says what it would do. Nothing is executed."""
    with django_db_blocker.unblock():
        yield
        connection.close()


def statements_of(key: tuple[str, str]) -> list[str]:
    loader = MigrationLoader(connection, replace_migrations=False)
    found = [line for line in loader.collect_sql([(loader.graph.nodes[key], False)]) if not line.startswith("--")]
    return [" ".join(line.split()) for line in found if line.strip()]


@pytest.mark.parametrize("key", ours(), ids=".".join)
def test_every_migration_runs_beside_the_product(outside_a_transaction: None, key: tuple[str, str]) -> None:
    found = lint(statements_of(key))
    assert found == BEFORE_THE_FIRST_RELEASE.get(key, set()), (
        f"{'.'.join(key)} stops running code or locks a table. Add a column with a database default, fill it in batches, "
        "build indexes with AddIndexConcurrently, and drop what nobody reads any more one release later."
    )


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ('ALTER TABLE "tickets_ticket" DROP COLUMN "title" CASCADE;', "DROP_COLUMN"),
        ('ALTER TABLE "tickets_ticket" RENAME COLUMN "title" TO "name";', "RENAME_COLUMN"),
        ('ALTER TABLE "tickets_ticket" RENAME TO "tickets";', "RENAME_TABLE"),
        ('DROP TABLE "tickets_service" CASCADE;', "DROP_TABLE"),
        ('ALTER TABLE "tickets_ticket" ADD COLUMN "x" integer NOT NULL;', "NOT_NULL"),
        ('ALTER TABLE "tickets_ticket" ALTER COLUMN "title" TYPE text;', "ALTER_COLUMN"),
        ('ALTER TABLE "tickets_ticket" ADD CONSTRAINT "u" UNIQUE ("title");', "ADD_UNIQUE"),
        ('CREATE INDEX "i" ON "tickets_ticket" ("title");', "CREATE_INDEX"),
        ('DROP INDEX IF EXISTS "i";', "DROP_INDEX"),
    ],
)
def test_the_linter_sees(sql: str, code: str) -> None:
    assert code in lint(["BEGIN;", sql, "COMMIT;"])


def test_the_linter_lets_pass() -> None:
    assert lint(['CREATE INDEX CONCURRENTLY "i" ON "tickets_ticket" ("title");']) == set()
    assert lint(["BEGIN;", 'ALTER TABLE "tickets_ticket" ADD COLUMN "x" integer NULL;', "COMMIT;"]) == set()


class Waiting:
    """Somebody who holds a table for a moment, and the migration that wants it for itself."""

    def __init__(self, database: CommittedDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tries: list[float] = []
        self.holder = database.connect("owner", autocommit=False)
        self.holder.execute("LOCK TABLE tickets_service IN ACCESS SHARE MODE")
        monkeypatch.setattr(migrate, "LOCK_MILLISECONDS", 100)
        monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.05)
        monkeypatch.setattr(djangos.Command, "handle", self.migrate)

    def migrate(self, *_: Any, **options: Any) -> None:
        begun = time.monotonic()
        try:
            with transaction.atomic(using=options["database"]), connections[options["database"]].cursor() as cursor:
                cursor.execute("LOCK TABLE tickets_service IN ACCESS EXCLUSIVE MODE")
        finally:
            self.tries.append(time.monotonic() - begun)


def test_migrate_gives_way_and_tries_again(
    committed_db: CommittedDatabase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = Waiting(committed_db, monkeypatch)
    threading.Timer(0.6, waiting.holder.close).start()
    call_command("migrate")
    assert len(waiting.tries) > 2
    assert max(waiting.tries) < 0.6, "readers queue behind whoever waits for a lock"
    assert "tries again" in capsys.readouterr().err
    with connections["owner"].cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


def test_migrate_gives_up_with_the_reason(committed_db: CommittedDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = Waiting(committed_db, monkeypatch)
    monkeypatch.setattr(migrate, "TRIES", 2)
    with pytest.raises(OperationalError, match="lock timeout"):
        call_command("migrate")
    assert len(waiting.tries) == 2
    waiting.holder.close()


def test_an_index_that_is_built_concurrently_may_wait(committed_db: CommittedDatabase) -> None:
    """Giving up would leave half an index behind; it stands in nobody's way."""
    owner = connections["owner"]
    with owner.cursor() as cursor:
        cursor.execute("SET lock_timeout = '100ms'")
    holder = committed_db.connect("app", autocommit=False)
    holder.execute("LOCK TABLE tickets_service IN ROW EXCLUSIVE MODE")
    threading.Timer(0.5, holder.close).start()
    try:
        with owner.schema_editor(atomic=False) as editor:
            editor.execute("CREATE INDEX CONCURRENTLY probe ON tickets_service (tenant_id)")
        with owner.cursor() as cursor:
            cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'probe'::regclass")
            assert cursor.fetchone() == (True,)
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == ("100ms",)
    finally:
        with owner.cursor() as cursor:
            cursor.execute("SET lock_timeout = 0")
            cursor.execute("DROP INDEX IF EXISTS probe")
