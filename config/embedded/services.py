"""PostgreSQL and Valkey together, and the environment by which the application reaches them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .console import Console
from .errors import Refusal
from .postgres import Postgres
from .state import StateFolder
from .supervisor import Supervisor
from .valkey import Valkey
from .wheels import postgres_programs, valkey_program

DATABASE_VARIABLES = {
    "DATABASE_URL": "itsm_app",
    "DATABASE_OWNER_URL": "itsm_owner",
    "DATABASE_PLATFORM_URL": "itsm_platform",
}
#: Passwords that may come apart from the addresses of services of one's own.
PASSWORDS = (*(name.replace("_URL", "_PASSWORD") for name in DATABASE_VARIABLES), "REDIS_PASSWORD")


class LocalServices:
    """The engines of one state folder, each embedded unless the environment names one of one's own."""

    def __init__(
        self,
        state: StateFolder,
        supervisor: Supervisor,
        *,
        throw_away: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.state = state
        self.supervisor = supervisor
        self.throw_away = throw_away
        self.environ = dict(os.environ if environ is None else environ)
        self.own_database = self._is_set("DATABASE_URL")
        self.own_redis = self._is_set("REDIS_URL")
        self.postgres: Postgres | None = None
        self.valkey: Valkey | None = None
        self.secrets: dict[str, str] = {}

    def _is_set(self, name: str) -> bool:
        """Say whether a variable is given, itself or as the name of a file that holds it."""
        return bool(self.environ.get(name) or self.environ.get(f"{name}_FILE"))

    @property
    def programs(self) -> str:
        """Folder of the embedded PostgreSQL's programs, "" if there is none."""
        return str(self.postgres.programs) if self.postgres is not None else ""

    def start(self, console: Console) -> None:
        """Bring both engines up and prepare the database.

        Raises Refusal with the reason and a remedy, Stopped if a stop is asked for meanwhile.
        """
        self.supervisor.clear_orphans()
        self.secrets = self.state.secrets()
        if self.own_database:
            console.say("  · PostgreSQL: the one of DATABASE_URL")
        else:
            self._start_postgres(console)
        if self.own_redis:
            console.say("  · Valkey: the one of REDIS_URL")
        else:
            self.valkey = Valkey(self.state, valkey_program(self.state), self.throw_away)
            with console.step("Valkey"):
                self.supervisor.start(self.valkey.service())

    def _start_postgres(self, console: Console) -> None:
        programs = postgres_programs(self.state)
        self.postgres = Postgres(self.state, programs, self.secrets, self.throw_away)
        if not self.state.cluster.exists() or not any(self.state.cluster.iterdir()):
            with console.step("PostgreSQL: new database cluster"):
                self.postgres.create()
        else:
            self.postgres.create()
        self.supervisor.raise_if_stopped()
        with console.step("PostgreSQL"):
            self.supervisor.start(self.postgres.service())
        with console.step("roles and database"):
            self.postgres.bootstrap()

    def env(self, address: str, settings: str) -> dict[str, str]:
        """Return the variables by which manage.py and the children reach the services."""
        env = {
            "VIABLE_STATE": str(self.state.path),
            "VIABLE_ADDRESS": address,
            "SECRET_KEY": self.environ.get("SECRET_KEY") or self.secrets["secret_key"],
            "DJANGO_SETTINGS_MODULE": self.environ.get("DJANGO_SETTINGS_MODULE") or settings,
        }
        for name, role in DATABASE_VARIABLES.items():
            if self.postgres is not None:
                env[name] = self.postgres.url(role)
        if self.valkey is not None:
            env["REDIS_URL"] = self.valkey.url
        for name in (*DATABASE_VARIABLES, "REDIS_URL", *PASSWORDS):
            for given in (name, f"{name}_FILE"):
                if name not in env and self.environ.get(given):
                    env[given] = self.environ[given]
        return env

    def refuse_without_owner(self) -> None:
        """Refuse to migrate a database of one's own as the application's role, which owns nothing."""
        owner = self._is_set("DATABASE_OWNER_URL") or self._is_set("DATABASE_OWNER_PASSWORD")
        if self.own_database and not owner:
            raise Refusal(
                "DATABASE_URL names a database of your own, but DATABASE_OWNER_URL, needed to migrate it, is not set.",
                "run docs/operations/roles.sql there and set DATABASE_OWNER_URL (role itsm_owner), "
                "DATABASE_URL (itsm_app) and DATABASE_PLATFORM_URL (itsm_platform)",
            )
