"""The last release's code on today's schema: during an update both run side by side, so the old one must still work.

Today's code migrates a database; then the newest release that is not this commit is taken out of git and its own tests
of the daily work run on that database. Without a release there is nothing to run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from psycopg import connect
from psycopg.conninfo import conninfo_to_dict, make_conninfo

ROOT = Path(__file__).resolve().parents[2]
#: The daily work: log, read, work, resolve, list, by API and by web. What the release does not have is left out.
DAILY = (
    "tests/api/test_incidents.py",
    "tests/api/test_lists.py",
    "tests/commands/test_incident_verbs.py",
    "tests/tickets/test_queue.py",
    "tests/web/test_incident_page.py",
    "tests/web/test_signing_in.py",
)
NAME = "last_release"
MIGRATE = """
import django
django.setup()
from django.test.utils import setup_databases
setup_databases(verbosity=0, interactive=False, keepdb=True, aliases={"default"}, serialized_aliases=set())
"""


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def last_release() -> str:
    """The newest tag v… before this commit, "" if there is none."""
    if not (ROOT / ".git").exists():
        return ""
    tags = git("tag", "--list", "v*", "--merged", "HEAD", "--no-contains", "HEAD", "--sort=-v:refname")
    return next(iter(tags.decode().split()), "")


def environment() -> dict[str, str]:
    """Settings of the test suite, on a database of its own."""
    variables = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_PLATFORM_URL")
    urls = {name: os.environ[name].replace("/viable?", f"/{NAME}?") for name in variables}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**kept, **urls, "DJANGO_SETTINGS_MODULE": "config.settings.test"}


def drop(name: str) -> None:
    """Remove a database, as the owner, from a connection to another one."""
    parts = conninfo_to_dict(os.environ["DATABASE_OWNER_URL"])
    with connect(make_conninfo(**{**parts, "dbname": "postgres"}), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.mark.slow
def test_the_last_release_works_on_todays_schema(tmp_path: Path) -> None:
    release = last_release()
    if not release:
        pytest.skip("there is no release (tag v…) before this commit: nothing to run on today's schema")
    assert settings.DATABASES["default"]["TEST"].get("NAME") is None
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=git("archive", release), check=True)
    daily = [name for name in DAILY if (tmp_path / name).exists()]
    assert len(daily) >= 3, f"{release} has other tests: {daily}"
    drop(f"test_{NAME}")
    try:
        subprocess.run([sys.executable, "-c", MIGRATE], cwd=ROOT, env=environment(), check=True)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--reuse-db", "-p", "no:cacheprovider", "-m", "not slow"]
        ran = subprocess.run([*command, *daily], cwd=tmp_path, env=environment(), capture_output=True, text=True)
        assert ran.returncode == 0, f"{release} on today's schema:\n{ran.stdout[-6000:]}\n{ran.stderr[-2000:]}"
        assert " passed" in ran.stdout
    finally:
        drop(f"test_{NAME}")
