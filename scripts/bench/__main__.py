"""``make bench``: a database of its own, both servers, the table. See docs/operations/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
_FOREIGN = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_PLATFORM_URL", "REDIS_URL", "CACHE_URL")


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    from scripts.bench.report import PAGE

    found = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    found.add_argument("--size", type=int, default=100_000, help="tickets in all (default: 100000)")
    found.add_argument("--seconds", type=float, default=6.0, help="how long each operation is measured")
    found.add_argument("--only", default="", help="operations, separated by commas")
    found.add_argument(
        "--quick", action="store_true", help="2000 tickets, a second each, nothing written: does it work?"
    )
    found.add_argument("--into", type=Path, default=PAGE, help="the page whose tables are written")
    found.add_argument("--dry", action="store_true", help="write nothing")
    found.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return found


def inside_services(module: str) -> int:
    """Run the module once more, with the same words and ``--inside`` a folder of its own, where database and cache run."""
    os.chdir(CHECKOUT)
    folder = Path(tempfile.mkdtemp(prefix="viable-bench-"))
    state = folder / "state"
    folder.chmod(0o755)
    env = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-m", "config.embedded", "--state", str(state), "services", "--"]
    command += [sys.executable, "-m", module, *sys.argv[1:], "--inside", str(folder)]
    try:
        return subprocess.run(command, env=env, check=False).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Start the services in a folder of their own and run inside them; or, there, run."""
    given = parser().parse_args()
    if given.inside is not None:
        from scripts.bench.run import Options
        from scripts.bench.run import main as run

        only = tuple(name for name in given.only.split(",") if name)
        size, seconds = (2000, 0.6) if given.quick else (given.size, given.seconds)
        into = None if given.quick or given.dry else given.into
        return run(Options(size, seconds, only, given.quick, into), given.inside)
    return inside_services("scripts.bench")


if __name__ == "__main__":
    sys.exit(main())
