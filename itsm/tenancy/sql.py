"""Functions that run with the owner's rights, written by migrations: each one a narrow hole in the wall, made on purpose."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.db import migrations


def definer_function(
    signature: str,
    body: str,
    *,
    returns: str,
    language: str = "sql",
    settings: str = "",
    replaces: migrations.RunPython | None = None,
) -> migrations.RunPython:
    """A migration step that creates a SECURITY DEFINER function which only the app role may call.

    ``signature`` is ``name(argument type, …)``; ``settings`` are further SET clauses. The search path is pinned, so that
    nobody can put a table of the same name in front of ours. Taken back, it leaves the step that it ``replaces``, or nothing.
    """
    name, _, arguments = signature.partition("(")
    types = ", ".join(part.strip().split(" ", 1)[1] for part in arguments.rstrip(")").split(",") if part.strip())

    def create(_apps: Any, schema_editor: Any) -> None:
        app_role = django_settings.DATABASE_ROLES["app"]
        schema_editor.execute(
            f"CREATE OR REPLACE FUNCTION {signature} RETURNS {returns} LANGUAGE {language} STABLE SECURITY DEFINER "
            f"SET search_path = pg_catalog, public, pg_temp {settings} AS $body$ {body} $body$",
            params=None,
        )
        schema_editor.execute(f"REVOKE ALL ON FUNCTION {name}({types}) FROM PUBLIC", params=None)
        schema_editor.execute(f'GRANT EXECUTE ON FUNCTION {name}({types}) TO "{app_role}"', params=None)

    def drop(_apps: Any, schema_editor: Any) -> None:
        schema_editor.execute(f"DROP FUNCTION IF EXISTS {name}({types})", params=None)

    return migrations.RunPython(create, replaces.code if replaces is not None else drop)
