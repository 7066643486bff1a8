"""manage.py reconcile_tenancy: bring keys, policies and grants in line with the models, or say what differs."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.writer import MigrationWriter

from itsm.tenancy.reconciler import Step, apply, plan

_HEADER = '''"""Keys that carry the tenant, for tables that have rows already. Written by manage.py reconcile_tenancy."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    # Each statement commits by itself: CONCURRENTLY cannot run in a transaction, and VALIDATE must not hold the lock
    # that ADD CONSTRAINT took. Every statement may be repeated, so that a run that was cut off can simply be run again.
    atomic = False
    dependencies: ClassVar = [({app!r}, {parent!r})]

    operations: ClassVar = [
        # Rather fail and be run again than let everybody queue behind a lock.
        migrations.RunSQL("SET lock_timeout = '5s'", migrations.RunSQL.noop),
{operations}
        migrations.RunSQL("RESET lock_timeout", migrations.RunSQL.noop),
    ]
'''


class Command(BaseCommand):
    help = (
        "Compare keys, row-level security and grants with the models and apply what is safe: everything on empty "
        "tables, policies and grants on all. The rest needs a migration, which --write-migration writes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--check", action="store_true", help="change nothing; exit status 1 when something differs")
        what.add_argument("--write-migration", metavar="APP", help="write what APP's tables with rows need")

    def handle(self, *args: Any, **options: Any) -> None:
        # Reading takes the owner as well: whether a table has rows is hidden from the app by row-level security.
        connection = connections[settings.DATABASE_ALIASES["owner"]]
        steps = plan(connection)
        if options["check"]:
            self._say(steps)
            if steps:
                raise CommandError(f"{len(steps)} differences.", returncode=1)
            return
        left = apply(connection, steps)
        if not options["write_migration"]:
            self._say(left)
            if left:
                raise CommandError("These need a migration: --write-migration APP.", returncode=1)
            return
        app = options["write_migration"]
        tables = {model._meta.db_table for model in apps.get_app_config(app).get_models()}
        mine = [step for step in left if step.table in tables]
        if not mine:
            self.stdout.write(f"Nothing to write for {app}.")
            return
        self.stdout.write(str(write_migration(app, mine)))

    def _say(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.stdout.write(f"{step.table}: {step.reason}")


def write_migration(app: str, steps: Sequence[Step]) -> Path:
    """Write an ordinary migration of ``app`` that makes ``steps`` on tables in use; answers its path."""
    loader = MigrationLoader(None)
    parent = max(name for label, name in loader.graph.leaf_nodes(app) if label == app)
    number = int(parent.split("_", 1)[0]) + 1
    statements = [statement for step in steps for statement in step.online]
    operations = "\n".join(
        f"        migrations.RunSQL([{statement!r}], migrations.RunSQL.noop)," for statement in statements
    )
    path = Path(MigrationWriter(Migration(f"{number:04d}_tenant_keys", app)).path)
    if path.exists():
        raise CommandError(f"{path} exists already.")
    path.write_text(_HEADER.format(app=app, parent=parent, operations=operations), encoding="utf-8")
    return path
