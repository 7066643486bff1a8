"""Where `make check-compose` finds a container engine: one that runs, or one that a starter brings up for the occasion."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PROJECT = "viable-check"
IMAGE = "viable:check"
NOT_RUN = """NOT RUN: there is no container engine, so nothing about docker-compose.yml was proved.
  Remedy: DOCKER_HOST=unix:///var/run/docker.sock make check-compose   (any engine of this machine), or
          COMPOSE_ENGINE_CMD=program make check-compose                (program prepare | start | run COMMAND … | stop)"""


class Failed(Exception):
    """Something is not as promised; the message says what."""


def say(text: str) -> None:
    print(f"  [{time.monotonic() - BEGUN:6.1f} s] {text}", flush=True)


BEGUN = time.monotonic()


class Engine:
    """An engine that listens at DOCKER_HOST on this machine. The project works in a copy of the checkout."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="viable-compose-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def start(self) -> None:
        """Make it ready, and the copy of the checkout."""
        self.copy()

    @property
    def env(self) -> dict[str, str]:
        """What docker compose reads instead of .env and the names in the file, so that two installations never mix."""
        return {
            "COMPOSE_FILE": "docker-compose.yml",
            "COMPOSE_PROJECT_NAME": PROJECT,
            "VIABLE_IMAGE": IMAGE,
            "WEB_PORT": str(self.port),
        }

    def copy(self) -> None:
        """Copy what git would commit: neither .env nor secrets nor state of the checkout may take part."""
        target = self.folder / "viable"
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=CHECKOUT, check=True, capture_output=True,
        )  # fmt: skip
        for name in listed.stdout.decode().split("\0"):
            if name and (CHECKOUT / name).is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(CHECKOUT / name, target / name)

    def command(self, arguments: Sequence[str]) -> tuple[list[str], dict[str, str] | None, Path | None]:
        """How to run a command beside the engine: arguments, environment, folder."""
        return list(arguments), {**os.environ, **self.env}, self.folder / "viable"

    def run(self, *arguments: str, seconds: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy. Raises Failed with its output when it fails or takes too long."""
        command, env, folder = self.command(arguments)
        try:
            done = subprocess.run(
                command, env=env, cwd=folder, timeout=seconds, check=False,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{' '.join(arguments)[:200]}: no end after {late.timeout:.0f} s") from None
        if check and done.returncode:
            said = f"{done.stdout}\n{done.stderr}".strip()[-4000:]
            raise Failed(f"{' '.join(arguments)[:200]}: exit status {done.returncode}\n{said}")
        return done

    def compose(self, *arguments: str, seconds: float = 300, check: bool = True) -> str:
        """Run docker compose; answers what it printed."""
        return self.run("docker", "compose", *arguments, seconds=seconds, check=check).stdout

    def remove_all(self) -> None:
        """Remove what the project made in the engine."""
        if (self.folder / "viable" / "docker-compose.yml").exists():
            self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)
            self.run("docker", "image", "rm", "--force", IMAGE, check=False)

    def close(self) -> None:
        """Leave nothing: containers, volumes, networks, the image, the copy."""
        self.remove_all()
        shutil.rmtree(self.folder, ignore_errors=True)


class StartedEngine(Engine):
    """An engine without any network, brought up by a starter: `STARTER prepare`, `start`, `run COMMAND …`, `stop`.

    The folder BOX is the starter's; BOX/share is /box inside. One that the caller named stays, so that the next check
    need not prepare it again; one that was made here goes.
    """

    def __init__(self, starter: str) -> None:
        self.starter = starter
        given = os.environ.get("BOX")
        self.box = (
            Path(given).resolve() if given else Path(tempfile.mkdtemp(prefix="viable-composebox-", dir="/var/tmp"))
        )
        self.temporary = not given
        self.folder = self.box / "share"
        self.port = 8000
        self.started = False

    @property
    def env(self) -> dict[str, str]:
        files = "docker-compose.yml:tests/compose/offline.yml"
        return {**super().env, "COMPOSE_FILE": files, "WHEELS": "/box/wheels"}

    def command(self, arguments: Sequence[str]) -> tuple[list[str], dict[str, str] | None, Path | None]:
        inside = ["env", "-C", "/box/viable", *(f"{name}={value}" for name, value in self.env.items()), *arguments]
        return [self.starter, "run", *inside], {**os.environ, "BOX": str(self.box)}, None

    def _starter(self, verb: str, seconds: float, attempts: int = 1) -> None:
        log = self.box / f"{verb}.log"
        for attempt in range(attempts):
            with log.open("wb") as file:
                # Through a file: what the starter leaves running must not hold our pipe. In a group of its own, so that
                # an interrupted starter takes its children along.
                process = subprocess.Popen(
                    [self.starter, verb], env={**os.environ, "BOX": str(self.box)}, start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                )  # fmt: skip
                try:
                    status = process.wait(seconds)
                except BaseException:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    raise
            if status == 0:
                return
            say(f"{verb}: exit status {status}, attempt {attempt + 1} of {attempts}")
        raise Failed(f"{self.starter} {verb} failed:\n{log.read_text(errors='replace')[-2000:]}")

    def start(self) -> None:
        if self.processes():
            raise Failed(f"an engine runs in {self.box} already. Remedy: stop it, or name another folder by BOX")
        self.box.mkdir(parents=True, exist_ok=True)
        self._clear()
        self.copy()
        wheels = self._fetch_wheels()
        try:
            self._starter("prepare", 900, attempts=2)
            if wheels.wait(300):
                raise Failed(f"pip download:\n{(self.box / 'wheels.log').read_text(errors='replace')[-2000:]}")
        finally:
            wheels.kill()
            wheels.wait()
        say("engine prepared, wheels at hand")
        self.started = True
        self._starter("start", 120)

    def _fetch_wheels(self) -> subprocess.Popen[bytes]:
        """Begin to fetch the wheels for the image's Python out here, because nothing inside can reach an index."""
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--require-hashes", "--requirement", "requirements-server.lock"]
        command += ["--python-version", "3.13", "--only-binary=:all:", "--dest", str(self.folder / "wheels")]
        with (self.box / "wheels.log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def processes(self) -> list[int]:
        """The engine's processes and its containers': those in whose mount table something comes from within the box."""
        mark, found = f"/{self.box.name}/", []
        for table in Path("/proc").glob("[0-9]*/mountinfo"):
            try:
                sources = [line.split(" ", 4)[3] for line in table.read_text().splitlines()]
            except OSError:
                continue
            if any(mark in source for source in sources):
                found.append(int(table.parent.name))
        return found

    def close(self) -> None:
        if self.started:
            try:
                if self.temporary:
                    self.compose("kill", check=False)
                else:
                    self.remove_all()
                self._starter("stop", 90)
            except (Failed, subprocess.TimeoutExpired, OSError) as error:
                say(f"the engine did not stop by itself: {error}")
            self._end_processes()
        self._clear()
        if self.temporary:
            self._remove_box()

    def _clear(self) -> None:
        """Remove what this check put into the box's shared folder, also what an earlier one that was killed left there."""
        for name in ("viable", "wheels", "backup"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _end_processes(self) -> None:
        deadline = time.monotonic() + 20
        while (left := self.processes()) and time.monotonic() < deadline:
            if time.monotonic() > deadline - 10:
                for pid in left:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
            time.sleep(0.5)
        if left:
            say(f"still running: {left}")

    def _remove_box(self) -> None:
        """Delete the folder, after letting go of every file system that an interrupted starter left mounted in it."""
        for _ in range(5):
            mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
            inside = [path for path in mounted if path.startswith(f"{self.box}/")]
            for path in reversed(inside):
                subprocess.run(["umount", "--lazy", path], check=False)
            if not inside:
                subprocess.run(["rm", "-rf", "--one-file-system", str(self.box)], check=False)
                return
        say(f"{self.box} is left: something is mounted in it")


def find_engine() -> Engine | None:
    """The engine that the environment names, or None."""
    if os.environ.get("DOCKER_HOST"):
        if shutil.which("docker") is None:
            raise Failed("DOCKER_HOST is set, but there is no docker command")
        return Engine()
    if starter := os.environ.get("COMPOSE_ENGINE_CMD"):
        path = shutil.which(starter)
        if path is None:
            raise Failed(f"COMPOSE_ENGINE_CMD={starter} is no program")
        return StartedEngine(str(Path(path).resolve()))
    return None
