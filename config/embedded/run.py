"""`make run`: engines, migration, demo, web, worker, beat, sweeper, until someone asks to stop."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .child import Service
from .console import Console
from .environment import CHECKOUT, pointer_file
from .errors import Refusal
from .identity import as_account, refuse_unreadable_program
from .processes import Escalation
from .services import LocalServices
from .state import StateFolder, read_document, write_private
from .supervisor import Stopped, Supervisor

HOST = "127.0.0.1"
SETTINGS = "config.settings.dev"
WEB_STOP: Escalation = ((signal.SIGTERM, 30.0),)
# SIGTERM lets running tasks finish; SIGQUIT puts what is not finished back on the queue.
WORKER_STOP: Escalation = ((signal.SIGTERM, 20.0), (signal.SIGQUIT, 10.0))
COMMAND_STOP: Escalation = ((signal.SIGINT, 10.0), (signal.SIGTERM, 5.0))
# Whoever serves requests must not be able to become the owner, whom row-level security does not bind.
NOT_FOR_REQUESTS = tuple(f"DATABASE_OWNER_{what}" for what in ("URL", "URL_FILE", "PASSWORD", "PASSWORD_FILE"))
WEB_SECONDS = 90.0
NOT_FOR_CHILDREN = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "STATE", "PORT", "PYTHON")


@dataclass
class Application:
    """What is run on top of the engines; tests put stand-ins here."""

    checkout: Path = CHECKOUT
    migrate: Sequence[str] = ()
    seed: Sequence[str] = ()
    web: Sequence[str] = ()
    worker: Sequence[str] = ()
    beat: Sequence[str] = ()
    sweeper: Sequence[str] = ()
    code: Sequence[Path] = ()
    modules: Sequence[str] = ()
    live: str = "/healthz/live"


def viable_application(port: int, state: Path, checkout: Path = CHECKOUT) -> Application:
    """Viable's own processes."""
    python = sys.executable
    celery = [python, "-m", "celery", "-A", "config.celery"]
    return Application(
        checkout=checkout,
        migrate=[python, "manage.py", "provision_tenants", "--migrate"],
        seed=[python, "manage.py", "seed_demo"],
        web=[
            python, "-m", "granian", "--interface", "wsgi", "--no-ws",
            "--host", HOST, "--port", str(port),
            "--workers", "2", "--blocking-threads", "4", "--backpressure", "16",
            "--workers-kill-timeout", "25", "--respawn-failed-workers", "--respawn-interval", "0.5",
            "config.wsgi:application",
        ],
        worker=[
            *celery, "worker", "--concurrency", "2", "--loglevel", "INFO", "--without-gossip", "--without-mingle",
        ],
        # A pid file would only outlive a kill and keep the next beat from starting; the lock does its work.
        beat=[*celery, "beat", "--loglevel", "INFO", "--pidfile", "", "--schedule", str(state / "beat" / "schedule")],
        sweeper=[python, "manage.py", "sla_sweeper"],
        code=[
            path
            for path in sorted(checkout.iterdir())
            if path.is_dir() and not path.name.startswith(".") and path.name not in ("tests", "docs")
        ],
        modules=("django", "celery", "granian"),
    )  # fmt: skip


def parse_port(text: str) -> int:
    """Return the port as a number; refuse what is none."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise Refusal(f"PORT={text!r} is not a port number (1 to 65535).", "make run PORT=8001")
    return int(text)


def refuse_busy_port(port: int, state: StateFolder) -> None:
    """Refuse a port that somebody listens on, or that the services' account may not listen on."""

    def try_it() -> str:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
                listener.listen(1)
            except PermissionError:
                return "may not be used by an ordinary account"
            except OSError as error:
                return f"is in use ({error.strerror})"
        return ""

    if problem := as_account(state.account, try_it):
        other = port + 1 if port < 65535 else port - 1
        raise Refusal(f"Port {port} on {HOST} {problem}.", f"choose another one: make run PORT={other}")


class Run:
    """One run, from the lock to the last stopped child."""

    def __init__(self, state: StateFolder, port: int, console: Console, application: Application, verbose: bool):
        self.state = state
        self.port = port
        self.console = console
        self.application = application
        self.address = f"http://{HOST}:{port}"
        self.supervisor = Supervisor(state, console, verbose=verbose)
        self.local = LocalServices(state, self.supervisor)

    def start(self) -> None:
        """Bring everything up. Raises Refusal or Stopped; the caller stops what had been started."""
        begun = time.monotonic()
        application, account = self.application, self.state.account
        self.local.refuse_without_owner()
        refuse_unreadable_program(account, application.checkout, application.code, application.modules)
        self.supervisor.clear_orphans()
        refuse_busy_port(self.port, self.state)
        self.console.say(f"Viable starts (state {self.state.path}, services as {account.name or account.uid})")
        self.local.start(self.console)
        os.environ.setdefault("PUBLIC_URL", self.address)
        env = self.local.env(self.address, os.environ.get("DJANGO_SETTINGS_MODULE", SETTINGS))
        self.state.publish(env, address=self.address, pid=os.getpid(), programs=self.local.programs)
        self._once("migrate", "database migrations", application.migrate, env)
        self._seed(env)
        self._children(env)
        self.supervisor.settled()
        self.state.describe({"address": self.address, "ready": True})
        with contextlib.suppress(OSError):
            write_private(pointer_file(), f"{self.state.path}\n")
        self.console.say(f"\nViable is ready after {time.monotonic() - begun:.1f} s: {self.address}")
        self._say_logins()
        self.console.say(f"Logs: {self.state.log}   Stop: Ctrl-C")

    def _service(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        stop: Escalation,
        without: Sequence[str] = (),
    ) -> Service:
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_FOR_CHILDREN}
        who = {
            "HOME": str(self.state.path),
            "USER": self.state.account.name,
            "LOGNAME": self.state.account.name,
        }
        if not self.state.account.popen_arguments():
            who = {}
        everything = {**inherited, **who, **env, "PYTHONUNBUFFERED": "1", "VIABLE_PROCESS": name}
        return Service(
            name=name,
            command=command,
            env={key: value for key, value in everything.items() if key not in without},
            cwd=self.application.checkout,
            account=self.state.account,
            stop=stop,
        )

    def _once(self, name: str, text: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        if command:
            with self.console.step(text) as progress:
                self.supervisor.run_to_end(self._service(name, command, env, COMMAND_STOP), progress)

    def _seed(self, env: Mapping[str, str]) -> None:
        wanted = os.environ.get("VIABLE_DEMO", "")
        if wanted == "0" or not self.application.seed:
            return
        if self.local.own_database and wanted != "1":
            self.console.say("  · no demo in a database of your own (VIABLE_DEMO=1 asks for it)")
            return
        demo = read_document(self.state.path / "demo.json")
        if demo is None:
            self._once("seed_demo", "demo data", self.application.seed, env)
        elif demo.get("address") != self.address:
            self._once("seed_demo", "addresses of the demo", self.application.seed, env)

    def _children(self, env: Mapping[str, str]) -> None:
        application = self.application
        for name, command, stop in (
            ("web", application.web, WEB_STOP),
            ("worker", application.worker, WORKER_STOP),
            ("beat", application.beat, COMMAND_STOP),
            ("sweeper", application.sweeper, COMMAND_STOP),
        ):
            if not command:
                continue
            service = self._service(name, command, env, stop, NOT_FOR_REQUESTS)
            if name == "web":
                service = self._counting(service)
            if name == "beat":
                self.state.folder_for_account("beat")
            self.supervisor.start(service)
        if application.web:
            with self.console.step("web, worker, beat, sweeper"):
                self._wait_for_web()
        self.supervisor.raise_if_stopped()

    def _counting(self, web: Service) -> Service:
        """Give the web server's processes a folder for their counts, empty whenever all of them start anew."""
        folder = self.state.folder_for_account("metrics")

        def empty() -> None:
            for file in folder.glob("*.db"):
                file.unlink(missing_ok=True)

        return replace(web, env={**web.env, "PROMETHEUS_MULTIPROC_DIR": str(folder)}, before_start=empty)

    def _wait_for_web(self) -> None:
        deadline = time.monotonic() + WEB_SECONDS
        answers = _Every(0.1, self._web_answers)
        self.supervisor.watch(lambda: answers() or time.monotonic() > deadline)
        if time.monotonic() > deadline:
            web = next(child for child in self.supervisor.children if child.name == "web")
            raise Refusal(
                f"{self.address}{self.application.live} gave no good answer within {WEB_SECONDS:.0f} s.\n"
                f"{web.log_tail()}"
            )

    def _web_answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", self.application.live)
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _say_logins(self) -> None:
        demo = read_document(self.state.path / "demo.json")
        if demo is None:
            return
        with contextlib.suppress(AttributeError, TypeError, KeyError):
            for tenant in demo["tenants"]:
                self.console.say(f"\n  {self.console.tint(tenant['slug'], '1')}  {tenant.get('api', '')}")
                for role, user in tenant["users"].items():
                    self.console.say(f"    {role:<12} {user['login']:<34} {user['password']}")
        self.console.say(f"\nThe same with API tokens: {self.state.path / 'demo.json'}")


class _Every:
    """A condition that is really asked at most once in so many seconds."""

    def __init__(self, seconds: float, condition: Callable[[], bool]) -> None:
        self.seconds, self.condition, self.next = seconds, condition, 0.0

    def __call__(self) -> bool:
        if time.monotonic() < self.next:
            return False
        answer = self.condition()
        self.next = time.monotonic() + self.seconds
        return answer


def run(
    state: StateFolder,
    port: str,
    console: Console,
    *,
    user: str = "",
    verbose: bool = False,
    application: Application | None = None,
) -> int:
    """Run until a stop is asked for; return 0 after an orderly stop.

    Raises Refusal (after stopping what had been started) when it cannot start or a child keeps dying.
    """
    number = parse_port(port)
    state.open(user)
    state.lock({"address": f"http://{HOST}:{number}"})
    try:
        if application is None:
            application = viable_application(number, state.path)
        one = Run(state, number, console, application, verbose)
        one.supervisor.install_signals()
        try:
            one.start()
            one.supervisor.watch(lambda: False)
        except Stopped:
            pass
        finally:
            begun = time.monotonic()
            console.say("\nStopping", always=True)
            one.supervisor.stop()
            console.say(f"Stopped after {time.monotonic() - begun:.1f} s")
        return 0
    finally:
        state.unlock()
