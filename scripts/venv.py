"""Make .venv and install the locked packages into it: `python3 scripts/venv.py run|dev`.

Started by whatever `python3` is there, so this file keeps to a syntax that old versions read: their users get a
sentence instead of a syntax error. Does nothing (fast) when the environment already is what the lock file says.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

OLDEST = (3, 11)
CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(CHECKOUT, ".venv")
LOCKS = {"run": "requirements.lock", "dev": "requirements-dev.lock"}
CANDIDATES = (
    "python3",
    "python3.13",
    "python3.12",
    "python3.11",
    "/usr/bin/python3",
    "/usr/local/bin/python3",
)
PROBE = """
import sys
try:
    import ensurepip, venv
    complete = "1"
except ImportError:
    complete = "0"
print("%d.%d.%d|%s|%s" % (sys.version_info[:3] + (complete, sys.executable)))
"""


def fail(message, remedy):
    """End with a sentence and a remedy."""
    sys.exit("viable: %s\n  Remedy: %s" % (message, remedy))


def ask(program, unprivileged=False):
    """Return (version, has venv, path) of an interpreter, or None if it cannot be started.

    `unprivileged` asks as the account nobody: whether the services of root could use the interpreter.
    """

    def become_nobody():
        import pwd

        entry = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)

    try:
        done = subprocess.run(
            [program, "-c", PROBE],
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            preexec_fn=become_nobody if unprivileged else None,
            timeout=60,
        )
        version, complete, path = done.stdout.decode().strip().split("|")
        return tuple(int(part) for part in version.split(".")), complete == "1", path
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        return None


def choose_python():
    """Choose the interpreter: the one named by PYTHON, else the first that is new enough and complete.

    For root, one that every account can read is preferred, because root's services run as another account;
    /root and what is in it are usually closed to it.
    """
    named = os.environ.get("PYTHON", "")
    if named:
        found = ask(named)
        if found is None:
            fail("PYTHON=%s cannot be started." % named, "make run PYTHON=/path/to/python3")
        good = [found] if usable(found) else []
        if not good:
            refuse([found])
        return found[2]
    found = [answer for answer in (ask(program) for program in CANDIDATES) if answer is not None]
    good = [answer for answer in found if usable(answer)]
    if not good:
        refuse(found)
    if os.geteuid() == 0:
        for answer in good:
            if ask(answer[2], unprivileged=True) is not None:
                return answer[2]
        print("viable: no Python here can be read by other accounts: make test works, make run will refuse")
    return good[0][2]


def usable(answer):
    """Say whether an interpreter is new enough and can make environments."""
    return answer[0] >= OLDEST and answer[1]


def refuse(found):
    """Say why none of the interpreters found will do."""
    newest = max(found, key=lambda answer: answer[0]) if found else None
    if newest is None or newest[0] < OLDEST:
        was = "there is only Python %s (%s)" % (".".join(map(str, newest[0])), newest[2]) if newest else "there is none"
        fail(
            "Python %d.%d or newer is needed, and %s." % (OLDEST[0], OLDEST[1], was),
            "install it (Debian 12, Ubuntu 24.04: apt-get install python3 python3-venv), or name one: "
            "make run PYTHON=/path/to/python3",
        )
    fail(
        "%s lacks the modules venv and ensurepip." % newest[2],
        "apt-get install python3-venv (Debian, Ubuntu), or name another: make run PYTHON=/path/to/python3",
    )


def stamp_of(kind, python):
    """Return what the environment must have been made from to be up to date."""
    digest = hashlib.sha256()
    with open(os.path.join(CHECKOUT, LOCKS[kind]), "rb") as file:
        digest.update(file.read())
    return "%s %s" % (digest.hexdigest(), python)


def read(path):
    """Return a file's text, "" if there is none."""
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def current_interpreter():
    """Return the interpreter that .venv was made by, "" if it is not ours or does not start any more."""
    made_by = read(os.path.join(VENV, ".viable-python"))
    if not made_by or (os.environ.get("PYTHON") and (ask(os.environ["PYTHON"]) or ("",) * 3)[2] != made_by):
        return ""
    return made_by if ask(os.path.join(VENV, "bin", "python")) is not None else ""


def install(kind, total):
    """Install the lock file with pip, showing how far it is; the whole output goes to a log."""
    lock = LOCKS[kind]
    log = os.path.join(VENV, "install.log")
    command = [os.path.join(VENV, "bin", "python"), "-m", "pip", "install", "--require-hashes"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "-r", lock]
    interactive = sys.stdout.isatty()
    begun, seen = time.time(), 0
    print("Installing %d locked packages (%s) into .venv" % (total, lock))
    sys.stdout.flush()
    with open(log, "wb") as file:
        pip = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in pip.stdout:
            file.write(line)
            text = line.decode(errors="replace").strip()
            found = re.match(r"(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)", text)
            if found:
                seen = min(seen + 1, total)
            shown = found.group(1) if found else "installing" if text.startswith("Installing collected") else ""
            if shown and interactive:
                sys.stdout.write("\r\033[K  [%d/%d] %s  %.0f s" % (seen, total, shown, time.time() - begun))
                sys.stdout.flush()
            elif shown and (seen % 20 == 0 or not found):
                print("  [%d/%d] %s  %.0f s" % (seen, total, shown, time.time() - begun))
                sys.stdout.flush()
        code = pip.wait()
    if interactive:
        sys.stdout.write("\r\033[K")
    if code:
        with open(log, errors="replace") as file:
            sys.stdout.write("".join(file.readlines()[-15:]))
        fail(
            "pip could not install %s (whole output: %s)." % (lock, log),
            "check that the package index can be reached (pip config, proxy), then run the same command again",
        )
    print("  installed in %.0f s" % (time.time() - begun))


def ensure(kind):
    """Bring .venv to the state that the lock file describes."""
    for candidate in ("dev", "run") if kind == "run" else ("dev",):
        # What is needed to run is contained in what is needed to develop.
        stamp = read(os.path.join(VENV, ".viable-" + candidate))
        made_by = read(os.path.join(VENV, ".viable-python"))
        same_python = not os.environ.get("PYTHON") or os.environ["PYTHON"] == made_by
        whole = stamp and stamp == stamp_of(candidate, made_by)
        if whole and same_python and os.path.exists(os.path.join(VENV, "bin", "python")):
            return
    python = current_interpreter()
    if not python:
        python = choose_python()
        print("Making .venv with %s" % python)
        shutil.rmtree(VENV + ".tmp", ignore_errors=True)
        made = subprocess.run([python, "-m", "venv", "--clear", VENV], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if made.returncode:
            sys.stdout.write(made.stdout.decode(errors="replace"))
            fail("%s -m venv failed." % python, "apt-get install python3-venv (Debian, Ubuntu)")
        write(".viable-python", python)
    for stale in ("run", "dev"):
        # An interrupted installation must not leave an old stamp that claims completeness.
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(VENV, ".viable-" + stale))
    with open(os.path.join(CHECKOUT, LOCKS[kind])) as file:
        total = len(re.findall(r"(?m)^[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^]]*\])?==", file.read()))
    install(kind, total)
    write(".viable-" + kind, stamp_of(kind, python))


def write(name, text):
    """Write a stamp into the environment."""
    with open(os.path.join(VENV, name), "w") as file:
        file.write(text + "\n")


def main():
    """Do it once at a time: parallel makes wait for each other."""
    if len(sys.argv) != 2 or sys.argv[1] not in LOCKS:
        fail("usage: python3 scripts/venv.py run|dev", "make help")
    if os.name != "posix":
        fail("Viable runs on Linux and macOS; on Windows use WSL.", "see docs/operations/running.md")
    import fcntl

    with open(os.path.join(CHECKOUT, ".venv.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("Waiting for another make that installs into .venv")
            sys.stdout.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
        ensure(sys.argv[1])


if __name__ == "__main__":
    main()
