"""A database in which tests really commit: for threads, processes, a Celery worker or a live server."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.db import connections
from django.test.utils import override_settings
from psycopg.conninfo import conninfo_to_dict, make_conninfo

#: Rows that migrations write and that nobody may miss afterwards.
_KEPT = frozenset({"django_content_type", "auth_permission", "auth_group", "django_migrations"})
_VARIABLES = {"app": "DATABASE_URL", "owner": "DATABASE_OWNER_URL", "platform": "DATABASE_PLATFORM_URL"}
_ALIASES = {"default": "app", "numbers": "app", "platform": "platform", "owner": "owner"}


@dataclass
class CommittedDatabase:
    """What the ``committed_db`` fixture hands out. ``environ`` is for processes, ``connect()`` for raw SQL."""

    #: A whole environment for subprocess.Popen(…, env=…): config.settings.dev on this test's database and Valkey.
    environ: dict[str, str]
    #: libpq addresses of this test's database by role: app, owner, platform.
    urls: dict[str, str]
    redis_url: str
    media: Path
    _started: list[threading.Thread] = field(default_factory=list)

    def connect(self, role: str = "app", *, autocommit: bool = True) -> psycopg.Connection[Any]:
        """A raw connection as one of the three roles, past Django. The caller closes it."""
        return psycopg.connect(self.urls[role], autocommit=autocommit)

    def superuser(self) -> psycopg.Connection[Any]:
        """A raw connection as the cluster's superuser; skips the test where the database is not our own."""
        secrets = Path(os.environ.get("VIABLE_STATE", "/nonexistent")) / "secrets.json"
        if not secrets.exists():
            pytest.skip("no superuser of this database is known: it is not the embedded one")
        password = json.loads(secrets.read_text(encoding="utf-8"))["postgres"]
        return psycopg.connect(make_conninfo(self.urls["owner"], user="postgres", password=password), autocommit=True)

    def thread(self, function: Callable[[], Any]) -> threading.Thread:
        """Start ``function`` in a thread whose Django connections (as the app role) are closed when it ends."""

        def run() -> None:
            try:
                function()
            finally:
                connections.close_all()

        thread = threading.Thread(target=run, daemon=True)
        self._started.append(thread)
        thread.start()
        return thread

    def join(self, seconds: float = 60.0) -> None:
        """Wait for all threads that thread() started; fails the test when one does not end."""
        for thread in self._started:
            thread.join(seconds)
            assert not thread.is_alive(), "a thread did not end"

    def truncate(self) -> None:
        """Remove all rows of all tables, as the owner, with the append-only triggers out of the way for that moment."""
        with self.connect("owner", autocommit=False) as connection:
            connection.execute("SET LOCAL lock_timeout = '20s'")
            present = {
                name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            }
            tables = sorted(
                {model._meta.db_table for model in apps.get_models(include_auto_created=True)} & present - _KEPT
            )
            triggers = connection.execute(
                "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                "WHERE NOT t.tgisinternal AND t.tgenabled = 'A' AND c.relname = ANY (%s)",
                [tables],
            ).fetchall()
            for table, trigger in triggers:
                connection.execute(f'ALTER TABLE "{table}" DISABLE TRIGGER "{trigger}"')
            connection.execute("TRUNCATE " + ", ".join(f'"{table}"' for table in tables) + " RESTART IDENTITY")
            for table, trigger in triggers:
                connection.execute(f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{trigger}"')


def _disconnect_others(database: CommittedDatabase) -> None:
    """End what a test left connected (killed workers, threads), so that nothing holds a lock during the clean-up."""
    for role in ("app", "platform", "owner"):
        with suppress(psycopg.Error), database.connect(role) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
            )


def redis_url(first: int = 1) -> str:
    """A Valkey database of one's own for each process of the test run: ``first`` and those that follow it.

    From 1 on for tests that commit, from 8 on for the cache of the others, which some of them clear.
    """
    base, _, query = settings.REDIS_URL.partition("?")
    number = first + int(os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw") or 0)
    if base.startswith("unix://"):
        return f"{base}?db={number}"
    return f"{base.rstrip('/').rsplit('/', 1)[0] if base.count('/') > 2 else base}/{number}" + (
        f"?{query}" if query else ""
    )


def _url(role: str, name: str) -> str:
    parts = conninfo_to_dict(os.environ[_VARIABLES[role]])
    return make_conninfo(**{**parts, "dbname": name})


def _as_url(conninfo: str) -> str:
    """The same address as a URL, which is what the environment of the product holds."""
    parts = conninfo_to_dict(conninfo)
    user, password = quote(str(parts["user"]), safe=""), quote(str(parts.get("password", "")), safe="")
    return f"postgresql://{user}:{password}@/{parts['dbname']}?host={quote(str(parts.get('host', '')), safe='/')}" + (
        f"&port={parts['port']}" if parts.get("port") else ""
    )


@contextmanager
def committed_database(folder: Path) -> Iterator[CommittedDatabase]:
    """Real connections for all aliases while the block runs; afterwards all rows are removed again."""
    import redis

    default = connections.settings["default"]
    name = default["NAME"]
    urls = {role: _url(role, name) for role in _VARIABLES}
    valkey = redis_url()
    environ = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.dev",
        **{variable: _as_url(urls[role]) for role, variable in _VARIABLES.items()},
        "REDIS_URL": valkey,
        "SECRET_KEY": settings.SECRET_KEY,
        "ALLOWED_HOSTS": "*",
        "VIABLE_STATE": str(folder),
        "LOG_LEVEL": "WARNING",
    }
    database = CommittedDatabase(environ, urls, valkey, folder / "media")
    before = deepcopy(default)
    session = "-c statement_timeout=5000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=10000"
    connections.close_all()
    for alias, role in _ALIASES.items():
        parts = conninfo_to_dict(urls[role])
        changed = {
            **deepcopy(before),
            "USER": parts["user"],
            "PASSWORD": parts["password"],
            "OPTIONS": {
                **{key: value for key, value in before["OPTIONS"].items() if key != "assume_role"},
                **({} if role == "owner" else {"options": session}),
            },
        }
        if alias == "default":
            default.clear()
            default.update(changed)
        else:
            connections.settings[alias] = changed
    client = redis.Redis.from_url(valkey)
    client.flushdb()
    try:
        with override_settings(
            DATABASE_ALIASES={alias: alias for alias in ("numbers", "platform", "owner")}, REDIS_URL=valkey
        ):
            yield database
    finally:
        connections.close_all()
        for alias in ("numbers", "platform", "owner"):
            connections.settings.pop(alias, None)
            with suppress(AttributeError):
                del connections[alias]
        default.clear()
        default.update(before)
        _disconnect_others(database)
        database.truncate()
        client.flushdb()
        client.close()
