"""How other commands (manage.py, scripts) find the services that are already running.

Nothing is started here. The lock of the state folder says whether they run, its env.json how to reach them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def default_state(checkout: Path = CHECKOUT, *, root: bool | None = None) -> Path:
    """Return the state folder used when nobody names one.

    An ordinary user gets `.state` in the checkout. Root's services run as another account, which often cannot
    enter the checkout's parents, so root gets a folder under /var/lib, one for each checkout.
    """
    if root is None:
        root = os.geteuid() == 0
    if not root:
        return checkout / ".state"
    key = hashlib.sha256(str(checkout).encode()).hexdigest()[:8]
    return Path("/var/lib/viable") / f"{checkout.name}-{key}"


def pointer_file(checkout: Path = CHECKOUT) -> Path:
    """Return the file that names the state folder last started from this checkout (beside the default one)."""
    folder = default_state(checkout)
    return folder.with_name(folder.name + ".last")


def lock_is_held(state: Path) -> bool:
    """Say whether a supervisor lives for this state folder; the kernel frees the lock of a dead one."""
    try:
        descriptor = os.open(state / "run" / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def running_state(environ: MutableMapping[str, str], checkout: Path = CHECKOUT) -> Path | None:
    """Return the folder whose services run: the named one, else the default one, else the last one started.

    A folder named by VIABLE_STATE or STATE is the only one looked at: acting on another would be a surprise.
    """
    named = environ.get("VIABLE_STATE") or environ.get("STATE")
    if named:
        state = Path(named).expanduser().resolve()
        return state if lock_is_held(state) else None
    state = default_state(checkout)
    if lock_is_held(state):
        return state
    with contextlib.suppress(OSError):
        last = Path(pointer_file(checkout).read_text(encoding="utf-8").strip())
        if last.is_absolute() and lock_is_held(last):
            print(f"viable: using the services of {last}", file=sys.stderr)
            return last
    return None


def load_embedded_environment(
    environ: MutableMapping[str, str] | None = None, checkout: Path = CHECKOUT
) -> Path | None:
    """Fill in the addresses of the running embedded services; return their state folder, or None.

    Variables that are already set win. A DATABASE_URL of one's own keeps *all* DATABASE_* out, because an
    owner's address of another database beside it would migrate the wrong one.
    """
    environ = os.environ if environ is None else environ
    own_database, own_redis = (
        bool(environ.get(name) or environ.get(f"{name}_FILE")) for name in ("DATABASE_URL", "REDIS_URL")
    )
    if own_database and own_redis:
        return None
    state = running_state(environ, checkout)
    if state is None:
        return None
    try:
        document = json.loads((state / "run" / "env.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    for name, value in document["env"].items():
        if (own_database and name.startswith("DATABASE_")) or (own_redis and name == "REDIS_URL"):
            continue
        if not environ.get(name):
            environ[name] = value
    return state
