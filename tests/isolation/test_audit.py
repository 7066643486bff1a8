"""Each hole that an operator or a migration could make is really made; the audit names it, and web and worker refuse."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connections
from django.test.utils import override_settings

from itsm.tenancy.audit import UnsafeDatabase, findings, refuse_unless_safe
from tests.committed import CommittedDatabase

#: hole → (SQL of the owner that makes it, SQL that mends it, what the audit says)
HOLES: dict[str, tuple[str, str, str]] = {
    "security_off": (
        "ALTER TABLE tickets_ticket DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE tickets_ticket ENABLE ROW LEVEL SECURITY",
        "tickets_ticket: row-level security is off",
    ),
    "policy_dropped": (
        "DROP POLICY tenant_isolation ON tickets_comment",
        "CREATE POLICY tenant_isolation ON tickets_comment TO itsm_app USING (tenant_id = current_setting('itsm.tenant')::uuid) "
        "WITH CHECK (tenant_id = current_setting('itsm.tenant')::uuid)",
        "tickets_comment: the policy tenant_isolation is missing or differs",
    ),
    "policy_changed": (
        "ALTER POLICY tenant_isolation ON tickets_comment USING (true)",
        "ALTER POLICY tenant_isolation ON tickets_comment USING (tenant_id = current_setting('itsm.tenant')::uuid)",
        "tickets_comment: the policy tenant_isolation is missing or differs",
    ),
    "policy_added": (
        "CREATE POLICY support ON tickets_ticket FOR SELECT TO itsm_app USING (true)",
        "DROP POLICY support ON tickets_ticket",
        "tickets_ticket: the policy support does not belong here",
    ),
    "silent_when_unset": (
        "ALTER POLICY tenant_isolation ON events_event "
        "USING (tenant_id = nullif(current_setting('itsm.tenant', true), '')::uuid)",
        "ALTER POLICY tenant_isolation ON events_event USING (tenant_id = current_setting('itsm.tenant')::uuid)",
        "events_event: the policy tenant_isolation is missing or differs",
    ),
    "extra_grant": (
        "GRANT UPDATE ON events_event TO itsm_app",
        "REVOKE UPDATE ON events_event FROM itsm_app",
        "events_event: itsm_app has ['INSERT', 'SELECT', 'UPDATE'], should have ['INSERT', 'SELECT']",
    ),
    "public_grant": (
        "GRANT SELECT ON tickets_ticket TO PUBLIC",
        "REVOKE SELECT ON tickets_ticket FROM PUBLIC",
        "tickets_ticket: PUBLIC has ['SELECT'], should have []",
    ),
    "platform_grant": (
        "GRANT SELECT ON tickets_ticket TO itsm_platform",
        "REVOKE SELECT ON tickets_ticket FROM itsm_platform",
        "tickets_ticket: itsm_platform has ['SELECT'], should have []",
    ),
    "column_grant": (
        "GRANT UPDATE (name) ON tenancy_tenant TO itsm_app",
        "REVOKE UPDATE (name) ON tenancy_tenant FROM itsm_app",
        "tenancy_tenant: itsm_app has ['SELECT', 'UPDATE of name'], should have ['SELECT']",
    ),
    "missing_key": (
        "ALTER TABLE tickets_comment DROP CONSTRAINT tickets_comment_ticket_id_tenant_fk",
        "ALTER TABLE tickets_comment ADD CONSTRAINT tickets_comment_ticket_id_tenant_fk "
        "FOREIGN KEY (tenant_id, ticket_id) REFERENCES tickets_ticket (tenant_id, id)",
        "tickets_comment: ticket_id could refer to another tenant",
    ),
    "unchecked_key": (
        "ALTER TABLE tickets_comment DROP CONSTRAINT tickets_comment_ticket_id_tenant_fk, "
        "ADD CONSTRAINT tickets_comment_ticket_id_tenant_fk "
        "FOREIGN KEY (tenant_id, ticket_id) REFERENCES tickets_ticket (tenant_id, id) NOT VALID",
        "ALTER TABLE tickets_comment VALIDATE CONSTRAINT tickets_comment_ticket_id_tenant_fk",
        "tickets_comment: ticket_id could refer to another tenant",
    ),
    "trigger_off": (
        "ALTER TABLE events_event DISABLE TRIGGER events_event_rows",
        "ALTER TABLE events_event ENABLE ALWAYS TRIGGER events_event_rows",
        "events_event: rows could be changed after they were written",
    ),
    "view": (
        "CREATE VIEW everybody AS SELECT * FROM tickets_ticket; GRANT SELECT ON everybody TO itsm_app",
        "DROP VIEW everybody",
        "everybody: itsm_app has rights on a relation that the wall does not cover",
    ),
    "definer": (
        "CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM tickets_ticket'",
        "DROP FUNCTION peek()",
        "function peek runs with its owner's rights and is not on the list of those that may",
    ),
    "index": (
        "CREATE INDEX careless ON tickets_ticket (number)",
        "DROP INDEX careless",
        "tickets_ticket: index careless does not start with the tenant",
    ),
    "schema": (
        "GRANT CREATE ON SCHEMA public TO itsm_app",
        "REVOKE CREATE ON SCHEMA public FROM itsm_app",
        "role itsm_app may create objects in the schema",
    ),
    "ownership": (
        "CREATE TABLE mine (id int); ALTER TABLE mine OWNER TO itsm_app",
        "SET ROLE itsm_app; DROP TABLE mine; RESET ROLE",
        "role itsm_app owns 1 relations: row-level security does not apply to an owner",
    ),
}
#: Holes that only somebody above the owner can make.
#: What a role of the whole cluster could have, and what the audit says to it ({role} is the role).
ROLE_HOLES = {
    "superuser": ("ALTER ROLE {role} SUPERUSER", "role {role} is a superuser"),
    "bypass": ("ALTER ROLE {role} BYPASSRLS", "role {role} has BYPASSRLS"),
    "membership": ("GRANT pg_read_all_data TO {role}", "role {role} may act as pg_read_all_data"),
}


@contextmanager
def hole(run: Callable[[str], object], make: str, mend: str) -> Iterator[None]:
    run(make)
    try:
        yield
    finally:
        run(mend)


def test_a_sound_database_passes(committed_db: CommittedDatabase) -> None:
    assert findings() == []
    refuse_unless_safe()


@pytest.mark.parametrize("name", HOLES)
def test_the_audit_finds(committed_db: CommittedDatabase, name: str) -> None:
    make, mend, said = HOLES[name]
    if name == "ownership":
        make = make.replace("ALTER TABLE mine", "GRANT CREATE ON SCHEMA public TO itsm_app; ALTER TABLE mine")
        mend += "; REVOKE CREATE ON SCHEMA public FROM itsm_app"
    with committed_db.connect("owner") as owner:
        with hole(owner.execute, make, mend):
            assert said in findings()
            with pytest.raises(UnsafeDatabase, match=re.escape(said)):
                refuse_unless_safe()
        assert findings() == []


@pytest.mark.parametrize("name", ROLE_HOLES)
def test_the_audit_finds_a_powerful_role(committed_db: CommittedDatabase, name: str) -> None:
    """With a role of its own: roles belong to the whole cluster, on which other tests' products start meanwhile."""
    make, said = ROLE_HOLES[name]
    role = f"probe_{os.getpid()}"
    connection = connections["default"]
    before = dict(connection.settings_dict)
    with committed_db.superuser() as boss:
        boss.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'probe'")
        try:
            boss.execute(make.format(role=role))
            connection.close()
            connection.settings_dict.update(USER=role, PASSWORD="probe")
            with override_settings(DATABASE_ROLES={**settings.DATABASE_ROLES, "app": role}):
                found = findings()
        finally:
            connection.close()
            connection.settings_dict.update(USER=before["USER"], PASSWORD=before["PASSWORD"])
            boss.execute(f"DROP ROLE {role}")
    assert any(said.format(role=role) in finding for finding in found), found
    assert findings() == []


def test_the_wrong_role_is_refused(committed_db: CommittedDatabase) -> None:
    with override_settings(DATABASE_ROLES={**settings.DATABASE_ROLES, "app": "itsm_platform"}):
        assert "connected as itsm_app, expected itsm_platform" in findings()


@pytest.mark.parametrize(
    "command", [["-c", "import config.wsgi"], ["-m", "celery", "-A", "config.celery", "worker", "-c", "1"]]
)
def test_web_and_worker_do_not_start(committed_db: CommittedDatabase, command: list[str]) -> None:
    make, mend, said = HOLES["policy_added"]
    with committed_db.connect("owner") as owner, hole(owner.execute, make, mend):
        ended = subprocess.run(
            [sys.executable, *command],
            env=committed_db.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode != 0
    assert said in ended.stderr


def test_the_web_starts_on_a_sound_database(committed_db: CommittedDatabase) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import config.wsgi; print('serving')"],
        env=committed_db.environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (0, "serving\n"), ended.stderr
