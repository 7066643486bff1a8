"""The embedded Valkey: Celery's queue and the cache, on a socket only its account can open."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from .child import Service
from .processes import Escalation
from .state import StateFolder

STOP: Escalation = ((signal.SIGTERM, 30.0),)


class Valkey:
    """The Valkey of one state folder. Its append-only file survives a kill; a torn last entry is cut off."""

    def __init__(self, state: StateFolder, program: Path, throw_away: bool) -> None:
        self.state = state
        self.program = program
        self.throw_away = throw_away
        self.socket = state.sockets() / "vk.sock"

    @property
    def url(self) -> str:
        """Return redis-py's address; Celery's is the same path as `redis+socket://PATH?virtual_host=0`."""
        return f"unix://{self.socket}?db=0"

    def service(self) -> Service:
        """Describe the server to the supervisor."""
        data = self.state.folder_for_account("valkey")
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(data),
            "appendonly": "no" if self.throw_away else "yes",
            "save": "",
            "maxmemory-policy": "noeviction",  # a queue must refuse rather than forget
            "daemonize": "no",
            "loglevel": "notice",
        }
        command = [str(self.program)]
        for name, value in options.items():
            command += [f"--{name}", value]
        return Service(
            name="valkey",
            command=command,
            env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.environ.get("PATH", os.defpath)},
            cwd=data,
            account=self.state.account,
            stop=STOP,
            death_signal=signal.SIGTERM,
            ready=lambda pid: self.answers(),
            ready_seconds=120.0,  # a long append-only file is loaded first
        )

    def answers(self) -> bool:
        """Say whether the server answers PING with PONG (it says LOADING before)."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2.0)
            try:
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
            except OSError:
                return False
