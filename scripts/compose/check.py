"""`make check-compose`: prove in a real engine what docker-compose.yml and docs/operations/compose.md promise.

Everything is tried from outside, as an operator and an API client would. What it makes is removed at the end, also after
a failure or Ctrl-C.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from typing import Any

from engine import BEGUN, NOT_RUN, Engine, Failed, find_engine, say

RUNNING = ("db", "queue", "cache", "web", "worker", "beat", "sweeper")
SNIPPET = """
from itsm.access.actors import member_of_user
from itsm.access.commands import create_token
from itsm.tenancy.context import tenant
from itsm.tenancy.models import Tenant, User
acme = Tenant.objects.get(slug="acme")
with tenant(acme.pk):
    actor, _ = member_of_user(acme.pk, User.objects.get(email="admin@acme.example").pk)
    print(create_token(actor=actor, name="check", scopes=["incidents:read", "incidents:write", "events:read"])[1])
"""
PROXIED = """
from django.test import Client
ask = Client(headers={"host": "localhost"}).get
plain, page = ask("/accounts/login/"), ask("/accounts/login/", headers={"x-forwarded-proto": "https"})
assert (plain.status_code, plain["Location"]) == (301, "https://localhost/accounts/login/"), plain
assert page.status_code == 200 and "max-age=31536000" in page["Strict-Transport-Security"], page.headers
assert page.cookies["csrftoken"]["secure"]
assert ask("/healthz/ready").status_code == 200
"""
COUNT = (
    "SELECT format('SELECT %L, count(*) FROM %I', relname, relname) FROM pg_class"
    " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname \\gexec"
)


def expect(holds: object, what: str) -> None:
    """Raise Failed with ``what`` unless it holds."""
    if not holds:
        raise Failed(what)


class Check:
    """The promises, in the order in which an operator meets them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.compose = engine.compose
        self.token = ""
        self.words = 0

    # --- Means --------------------------------------------------------------------------------------------------------
    def inspect(self, service: str) -> list[dict[str, Any]]:
        """What the engine knows of a service's containers."""
        ids = self.compose("ps", "--all", "--quiet", service).split()
        return list(json.loads(self.engine.run("docker", "inspect", *ids).stdout)) if ids else []

    def api(self, path: str, *arguments: str, status: int = 200) -> Any:
        """Call the API of acme through the published port."""
        address = f"http://127.0.0.1:{self.engine.port}/t/acme/api/v1/{path}"
        asked = ["--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}"]
        head = ["--header", f"Authorization: Bearer {self.token}"]
        answer, _, code = self.engine.run("curl", *asked, *head, *arguments, address).stdout.rpartition("\n")
        expect(code == str(status), f"{path}: {code} instead of {status}: {answer[:500]}")
        return json.loads(answer) if answer else None

    def open_incident(self) -> tuple[str, str]:
        """Log an incident over HTTP; answers its id and a word that only it contains."""
        self.words += 1
        word = f"quartz{self.words}fire"
        body = json.dumps({"title": f"Printer {word}", "impact": 2, "urgency": 1})
        made = self.api("incidents/", "--json", body, status=201)
        expect(made["priority"] == 2, f"the priority of impact 2 and urgency 1 is 2, not {made['priority']}")
        return made["id"], word

    def found(self, word: str) -> list[str]:
        return [one["id"] for one in self.api(f"incidents/?q={word}")["results"]]

    def expect_worked_on(self, incident: str, word: str, seconds: float = 20) -> float:
        """Wait until the worker has indexed the incident; answers how long that took. Search is fed by it alone."""
        begun = time.monotonic()
        while self.found(word) != [incident]:
            expect(time.monotonic() - begun < seconds, f"after {seconds} s the worker has not indexed {word}")
            time.sleep(0.3)
        return time.monotonic() - begun

    def up(self, *arguments: str) -> None:
        begun = time.monotonic()
        self.compose("up", "--detach", "--wait", "--wait-timeout", "180", *arguments)
        say(f"up, all healthy, after {time.monotonic() - begun:.1f} s")

    def counts(self, database: str = "viable") -> dict[str, int]:
        """How many rows each table has, seen by the superuser."""
        ask = [
            "exec",
            "-T",
            "db",
            "sh",
            "-c",
            'printf "%s" "$1" | psql -X -q -A -t -v ON_ERROR_STOP=1 -U postgres "$2"',
            "sh",
        ]
        rows = [line.rsplit("|", 1) for line in self.compose(*ask, COUNT, database).split()]
        return {name: int(count) for name, count in rows}

    def settle(self) -> dict[str, int]:
        """Wait until the outbox is empty and nothing moves any more; answers the counts."""
        before, deadline = self.counts(), time.monotonic() + 20
        while True:
            time.sleep(1.5)
            now = self.counts()
            if now == before and now["events_outbox"] == 0:
                return now
            expect(time.monotonic() < deadline, f"the outbox does not empty: {now['events_outbox']}")
            before = now

    # --- Promises -----------------------------------------------------------------------------------------------------
    def build(self) -> None:
        self.engine.run("sh", "scripts/compose/init.sh")
        first = self.engine.run("sh", "-c", "cat secrets/* .env | sha256sum; stat -c %a secrets").stdout
        self.engine.run("sh", "scripts/compose/init.sh")
        again = self.engine.run("sh", "-c", "cat secrets/* .env | sha256sum; stat -c %a secrets").stdout
        expect(first == again and first.split()[-1] == "700", "init.sh keeps the secrets, and keeps others out")
        self.compose("build", seconds=600)
        say("image built")

    def healthy(self) -> None:
        for service in RUNNING:
            containers = self.inspect(service)
            expect(containers, f"{service} has no container")
            for one in containers:
                expect(one["Config"].get("Healthcheck"), f"{service} has no health check")
                health = one["State"].get("Health", {}).get("Status")
                expect(health == "healthy", f"{service} is {one['State']['Status']}, {health}")
        for service in ("roles", "migrate"):
            expect([one["State"]["ExitCode"] for one in self.inspect(service)] == [0], f"{service} did not end well")

    def confined(self) -> None:
        probe = (
            "id -u; awk '/^(CapEff|CapBnd|NoNewPrivs|Seccomp):/ {print $2}' /proc/1/status; touch /probe 2>&1 || true"
        )
        for service in RUNNING:
            uid, *rest = self.compose("exec", "-T", service, "sh", "-c", probe).split("\n", 5)
            expect(uid != "0", f"{service} runs as root")
            expect(rest[:4] == ["0" * 16, "0" * 16, "1", "2"], f"{service}: capabilities or privileges: {rest[:4]}")
            expect("Read-only file system" in rest[4], f"{service} can write to its root: {rest[4]}")
            if service in ("web", "worker", "beat", "sweeper"):
                expect(uid == "10001", f"{service} runs as {uid}")
                env = self.compose("exec", "-T", service, "sh", "-c", "env; ls /run/secrets")
                expect("owner" not in env.lower(), f"{service} knows the owner's password")
        tools = self.compose("exec", "-T", "web", "sh", "-c", "command -v gcc cc make git || true")
        expect(not tools.strip(), f"the image holds build tools: {tools}")
        say("no root, no capability, no new privileges, read-only root, no owner's password, no build tools")

    def first_incident(self) -> tuple[str, str]:
        said = self.compose(
            "run", "--rm", "-T", "migrate", "python", "manage.py", "create_tenant", "acme", "--admin-email",
            "admin@acme.example",
        )  # fmt: skip
        expect("acme is ready" in said, said)
        self.token = self.compose("exec", "-T", "web", "python", "manage.py", "shell", "-v", "0", "-c", SNIPPET).strip()
        incident, word = self.open_incident()
        took = self.expect_worked_on(incident, word)
        self.api(f"incidents/{incident}/attachments/", "--form", "file=@LICENSE;filename=licence.txt", status=201)
        page = self.engine.run("curl", "-sSi", f"http://127.0.0.1:{self.engine.port}/accounts/login/").stdout
        sheet = next((part for part in page.split('"') if part.endswith(".css")), "")
        static = f"http://127.0.0.1:{self.engine.port}{sheet}"
        style = self.engine.run("curl", "-sSi", static).stdout
        expect(
            sheet and " 200 " in page[:20] and " 200 " in style[:20], f"sign-in page or stylesheet {sheet!r} missing"
        )
        expect("immutable" in style.lower(), "static files are not sent as immutable")
        ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/metrics').read().decode())"
        metrics = self.compose("exec", "-T", "web", "python", "-c", ask)
        for line in ("viable_database_up 1.0", "viable_queue_up 1.0", 'status="201"'):
            expect(line in metrics, f"/metrics does not say {line}:\n{metrics[:2000]}")
        outside = self.engine.run("curl", "-sSi", f"http://127.0.0.1:{self.engine.port}/metrics").stdout
        expect(" 404 " in outside[:20], "/metrics is open to others")
        say(f"tenant, token, incident over HTTP; the worker had indexed it after {took:.1f} s")
        return incident, word

    def quiet(self) -> None:
        """On the main path nobody complains."""
        said = self.compose(
            "logs", "--no-color", "--no-log-prefix", "roles", "migrate", "web", "worker", "beat", "sweeper"
        )
        for bad in ("Traceback", "WARNING", "ERROR", "CRITICAL", "Warning:", "FATAL"):
            lines = [line for line in said.splitlines() if bad in line]
            expect(not lines, f"the logs say {bad}:\n" + "\n".join(lines[:10]))
        database = self.compose("logs", "--no-color", "--no-log-prefix", "db")
        lines = [line for line in database.splitlines() if any(bad in line for bad in ("ERROR:", "FATAL:", "PANIC:"))]
        expect(not lines, "the database complains:\n" + "\n".join(lines[:10]))
        say("logs without warnings")

    def killed_worker(self) -> None:
        children = 'for p in /proc/[0-9]*; do [ "$(cut -d" " -f4 $p/stat)" = 1 ] && kill -9 ${p#/proc/}; done; true'
        self.compose("exec", "-T", "worker", "sh", "-c", children, check=False)
        begun = time.monotonic()
        while not (
            (one := self.inspect("worker")[0])["RestartCount"] and one["State"]["Health"]["Status"] == "healthy"
        ):
            expect(time.monotonic() - begun < 60, f"the killed worker is not back: {one['State']}")
            time.sleep(0.5)
        took = self.expect_worked_on(*self.open_incident())
        say(f"worker killed by SIGKILL: healthy again after {time.monotonic() - begun - took:.1f} s, and works")

    def without_valkeys(self) -> None:
        """Writing needs neither queue nor cache, and what was written meanwhile is worked on when the queue is back."""
        self.compose("stop", "queue", "cache")
        begun = time.monotonic()
        incident, word = self.open_incident()
        took = time.monotonic() - begun
        expect(took < 8, f"without queue and cache an incident took {took:.1f} s")
        self.compose("start", "queue", "cache")
        late = self.expect_worked_on(incident, word, 60)
        say(f"queue and cache stopped: incident accepted in {took:.1f} s, worked on {late:.1f} s after they were back")

    def scaled(self) -> None:
        self.up("--no-recreate", "--scale", "worker=2")
        workers = self.inspect("worker")
        expect(len(workers) == 2, f"{len(workers)} workers instead of 2")
        self.healthy()
        oldest = min(workers, key=lambda one: str(one["Created"]))
        self.engine.run("docker", "stop", oldest["Id"])
        self.expect_worked_on(*self.open_incident())
        say("two workers: the new one does the work while the old one is stopped")

    def upgraded(self) -> None:
        """The documented way, with the same version: how long is nobody served?"""
        live = [
            "curl",
            "-sS",
            "-o",
            "/dev/null",
            "--max-time",
            "2",
            f"http://127.0.0.1:{self.engine.port}/healthz/live",
        ]
        gaps, last, done = [0.0], time.monotonic(), threading.Event()

        def watch() -> None:
            nonlocal last
            while not done.is_set():
                if self.engine.run(*live, check=False).returncode == 0:
                    gaps.append(time.monotonic() - last)
                    last = time.monotonic()
                time.sleep(0.1)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.compose("run", "--rm", "-T", "migrate")
            migrated = max(gaps)
            recreate = ["--force-recreate", "--no-deps", "web", "worker", "beat", "sweeper"]
            self.compose("up", "--detach", "--wait", "--wait-timeout", "120", *recreate)
        finally:
            done.set()
            watcher.join()
        expect(migrated < 3, f"while migrating nobody was served for {migrated:.1f} s")
        expect(max(gaps) < 60 and time.monotonic() - last < 5, f"longest gap {max(gaps):.1f} s")
        say(f"upgrade: served while migrating; {max(gaps):.1f} s without an answer while web was replaced")

    def down_and_up(self, incident: str, word: str) -> None:
        self.compose("stop")
        for service in RUNNING:
            code = self.inspect(service)[0]["State"]["ExitCode"]
            expect(code != 137, f"{service} had to be killed when asked to stop")
        self.compose("down")
        rotated = ("owner", "app", "platform", "valkey")
        self.engine.run("rm", "-f", *(f"secrets/{name}_password" for name in rotated))
        self.engine.run("sh", "scripts/compose/init.sh")
        self.up()
        expect(self.found(word) == [incident], "after down and up the first incident is not found")
        self.expect_worked_on(*self.open_incident())
        say("down, new passwords, up: everything stopped by itself, the data is there, work goes on")

    def backed_up(self) -> dict[str, int]:
        counts = self.settle()
        self.engine.run("sh", "scripts/compose/backup.sh", "../backup")
        refused = self.engine.run("sh", "scripts/compose/backup.sh", "../backup", check=False)
        expect(refused.returncode == 1 and "there already" in refused.stderr, "backup.sh overwrites a backup")
        say(f"backup of {sum(counts.values())} rows in {len(counts)} tables")
        return counts

    def restored(self, incident: str, word: str, counts: dict[str, int]) -> None:
        """In place of what is there, and then into nothing at all."""
        _, later = self.open_incident()
        for loss in ("a mistake", "the loss of everything"):
            begun = time.monotonic()
            if loss == "the loss of everything":
                self.compose("down", "--volumes")
            said = self.engine.run("sh", "scripts/compose/restore.sh", "../backup").stdout
            took = time.monotonic() - begun
            expect(("viable_before_" in said) == (loss == "a mistake"), f"what was there is kept, and named: {said}")
            now = self.settle()
            expect(now == counts, f"counts differ: {sorted(set(counts.items()) ^ set(now.items()))}")
            expect((self.found(word), self.found(later)) == ([incident], []), "the restored data is not the backup's")
            (file,) = self.api(f"incidents/{incident}/attachments/")["results"]
            content = f"incidents/{incident}/attachments/{file['id']}/content/"
            address = f"http://127.0.0.1:{self.engine.port}/t/acme/api/v1/{content}"
            get = f"curl -sS -H 'Authorization: Bearer {self.token}' {address} | cmp - LICENSE"
            self.engine.run("sh", "-c", get)
            self.audited()
            say(f"restore after {loss}: {took:.1f} s; same counts, attachment whole, audit clean")
        self.expect_worked_on(*self.open_incident())

    def audited(self) -> None:
        """The event log is what was written, the tenant wall stands, and Django finds the deployment sound."""
        self.compose("exec", "-T", "web", "python", "manage.py", "verify_events")
        self.compose("run", "--rm", "-T", "--no-deps", "migrate", "python", "manage.py", "reconcile_tenancy", "--check")

    def strict(self) -> None:
        """Behind a proxy with TLS, as .env.example says it: no finding, plain HTTP sent away, probes answered."""
        run = ["run", "--rm", "-T", "--no-deps"]
        for name in ("SECURE_SSL_REDIRECT", "SECURE_COOKIES", "BEHIND_PROXY"):
            run += ["-e", f"{name}=yes"]
        self.compose(*run, "web", "python", "manage.py", "check", "--deploy", "--fail-level", "WARNING")
        self.compose(*run, "web", "python", "manage.py", "shell", "-v", "0", "-c", PROXIED)
        say("behind a proxy: HTTPS enforced, cookies secure, probes answered, check --deploy clean")


def main() -> int:
    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    engine: Engine | None = None
    try:
        engine = find_engine()
        if engine is None:
            print(NOT_RUN)
            return 0
        engine.start()
        version = engine.run("docker", "version", "--format", "{{.Server.Version}}").stdout.strip()
        say(f"engine {version}, compose {engine.compose('version', '--short').strip()}")
        check = Check(engine)
        check.build()
        check.up()
        check.healthy()
        check.confined()
        incident, word = check.first_incident()
        check.quiet()
        check.killed_worker()
        check.without_valkeys()
        check.scaled()
        check.upgraded()
        check.down_and_up(incident, word)
        counts = check.backed_up()
        check.restored(incident, word, counts)
        check.strict()
    except KeyboardInterrupt:
        print("stopped", flush=True)
        return 130
    except Failed as failure:
        if engine is not None:
            logs = engine.run("docker", "compose", "logs", "--no-color", "--tail", "40", check=False, seconds=60)
            print(logs.stdout[-8000:])
        print(f"FAILED after {time.monotonic() - BEGUN:.0f} s: {failure}", flush=True)
        return 1
    finally:
        # Whoever asked to stop, or asks now, wants nothing left behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if engine is not None:
            engine.close()
    print(f"check-compose: proved in {time.monotonic() - BEGUN:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
