"""Typed reading of the environment. Every variable that the product understands is read through here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class MissingSetting(RuntimeError):
    """A variable that must be set is not; the message says which one and where its meaning stands."""


class BadSetting(RuntimeError):
    """A variable is set to what it cannot be; the message says to what, and what it may be."""


def text(name: str, default: str | None = None) -> str:
    """The variable, or the content of the file named by NAME_FILE (for secrets mounted as files), or the default."""
    if file := os.environ.get(f"{name}_FILE"):
        return Path(file).read_text(encoding="utf-8").strip()
    value = os.environ.get(name, default)
    if value is None:
        raise MissingSetting(f"{name} is not set. See docs/operations/settings.md for what it means.")
    return value


def flag(name: str, default: bool = False) -> bool:
    """True for 1, true, yes, on; False for 0, false, no, off and empty. Anything else is refused."""
    value = os.environ.get(name)
    if value is None:
        return default
    if value.lower() in {"1", "true", "yes", "on"}:
        return True
    if value.lower() in {"0", "false", "no", "off", ""}:
        return False
    raise BadSetting(f"{name}={value!r} is neither yes nor no.")


def number(name: str, default: int) -> int:
    """A whole number; anything else is refused with the variable's name."""
    value = os.environ.get(name)
    try:
        return default if value is None else int(value)
    except ValueError:
        raise BadSetting(f"{name}={value!r} is not a whole number.") from None


def choice(name: str, default: str, options: tuple[str, ...]) -> str:
    """One of ``options``; anything else is refused with the variable's name."""
    value = os.environ.get(name) or default
    if value not in options:
        raise BadSetting(f"{name}={value!r} is none of: {', '.join(options)}.")
    return value


def names(name: str, default: list[str]) -> list[str]:
    """A comma-separated list without blanks."""
    value = os.environ.get(name)
    return default if value is None else [part.strip() for part in value.split(",") if part.strip()]


def database(url: str, password: str = "", **extra: Any) -> dict[str, Any]:
    """A Django database from a libpq URL; sockets (``?host=/run/pg``) and every libpq option work as PostgreSQL documents them.

    ``password`` is used when the URL holds none.
    """
    parts = conninfo_to_dict(url)
    options = {k: v for k, v in parts.items() if k not in {"dbname", "user", "password", "host", "port"}}
    return {
        "ENGINE": "itsm.tenancy.postgresql",
        "NAME": parts.get("dbname", ""),
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password") or password,
        "HOST": parts.get("host", ""),
        "PORT": str(parts.get("port", "")),
        "OPTIONS": {**options, **extra.pop("OPTIONS", {})},
        **extra,
    }


def as_role(url: str, role: str) -> str:
    """The same database's address for another role, whose password is not known."""
    return make_conninfo(url, user=role, password="")


def redis(url: str, password: str = "") -> str:
    """The URL of a Redis or Valkey with the password in it, unless it holds one. Refuses to lose a password on a socket's URL."""
    parts = urlsplit(url)
    if not password or parts.password:
        return url
    if not parts.hostname:
        raise BadSetting(f"{url} is no network address: put the password into the URL itself.")
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()
