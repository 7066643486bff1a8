"""A closed loop over keep-alive connections, on bare sockets: one thread, so that it takes little of the machine it measures."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Request:
    """What is sent, and the status that counts as success. ``check`` looks at an answer's body now and then."""

    raw: bytes
    status: int = 200
    check: Callable[[bytes], bool] | None = None


@dataclass(slots=True)
class Result:
    """What came of one run. Latencies in seconds, sorted."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.latencies)

    def percentile(self, share: float) -> float:
        """The latency that ``share`` of the requests stay below, in milliseconds."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))] * 1000


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """An HTTP/1.1 request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body or method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Connection:
    """One keep-alive connection and the request that is under way on it."""

    def __init__(self, port: int, source: Iterator[Request]) -> None:
        self.source = source
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.begun = 0.0
        self.current: Request | None = None

    def send(self) -> None:
        self.current = next(self.source)
        self.received = b""
        self.begun = time.perf_counter()
        self.socket.sendall(self.current.raw)

    def receive(self) -> tuple[int, bytes] | None:
        """Status and body once the answer is whole."""
        chunk = self.socket.recv(262144)
        if not chunk:
            raise ConnectionError(f"the server closed the connection after {self.received[:200]!r}")
        self.received += chunk
        head, mark, body = self.received.partition(b"\r\n\r\n")
        if not mark:
            return None
        lowered = head.lower()
        if b"transfer-encoding: chunked" in lowered:
            return (int(head[9:12]), _joined(body)) if body.endswith(b"0\r\n\r\n") else None
        place = lowered.find(b"content-length:")
        length = int(lowered[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        return (int(head[9:12]), body) if len(body) >= length else None


def _joined(chunked: bytes) -> bytes:
    parts = []
    while chunked:
        size, _, rest = chunked.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            break
        parts.append(rest[:count])
        chunked = rest[count + 2 :]
    return b"".join(parts)


def run(port: int, sources: list[Iterator[Request]], seconds: float, *, most: int | None = None) -> Result:
    """Send each source's requests, the next when the answer is there, on one connection per source.

    Ends after ``seconds`` or ``most`` answers. A wrong status or content is kept in ``wrong`` and ends the run.
    """
    result = Result()
    connections = [_Connection(port, source) for source in sources]
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        begun = time.perf_counter()
        until = begun + seconds
        for connection in connections:
            connection.send()
        waiting = len(connections)
        while waiting:
            for key, _ in selector.select(timeout=30.0) or _silent():
                connection = key.data
                answer = connection.receive()
                if answer is None:
                    continue
                now = time.perf_counter()
                result.latencies.append(now - connection.begun)
                _judge(result, connection.current, *answer)
                if now < until and not result.wrong and (most is None or result.count + waiting <= most):
                    connection.send()
                else:
                    waiting -= 1
        result.seconds = time.perf_counter() - begun
    for connection in connections:
        connection.socket.close()
    result.latencies.sort()
    return result


def _silent() -> list[tuple[selectors.SelectorKey, int]]:
    raise TimeoutError("no answer for 30 s")


def _judge(result: Result, sent: Request | None, status: int, body: bytes) -> None:
    assert sent is not None
    if status != sent.status:
        result.wrong.append(f"{sent.raw.splitlines()[0].decode()} was answered {status}: {body[:300]!r}")
    # Every answer to begin with, then one in a hundred: looking closely costs the client what the server could use.
    elif sent.check is not None and (result.count <= 20 or result.count % 100 == 0) and not sent.check(body):
        result.wrong.append(f"{sent.raw.splitlines()[0].decode()} has the wrong content: {body[:300]!r}")
