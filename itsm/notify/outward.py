"""HTTP to addresses that a tenant chose: never into our own network, never further than where it was sent, never for long.

The name is resolved once, every address that it has is looked at, and the connection goes to the very address that was
looked at, so that a name which answers differently the second time leads nowhere.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

#: Seconds for one step (connecting, one read), and for all of it.
STEP_SECONDS = 5.0
WHOLE_SECONDS = 15.0
#: Of the answer we read no more than this.
ANSWER_BYTES = 2000


class NotAllowed(Exception):
    """The address must not be called; the message says why, for the tenant's admin."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``text`` is its beginning."""

    status: int
    text: str


def target(url: str) -> SplitResult:
    """The address in parts, if we would call it at all. Raises NotAllowed; names are not resolved yet."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise NotAllowed("This is no address. Write one such as https://hooks.example.org/viable.") from None
    schemes = ("https", "http") if settings.WEBHOOKS_ALLOW_HTTP else ("https",)
    if parts.scheme not in schemes:
        raise NotAllowed(f"The address must begin with {' or '.join(f'{one}://' for one in schemes)}.")
    if not parts.hostname or not _is_name(parts.hostname):
        raise NotAllowed("The address has no host name.")
    if parts.username is not None or parts.password is not None:
        raise NotAllowed("The address must not contain a user or a password: bodies are signed instead.")
    if parts.fragment:
        raise NotAllowed("The address must not have a part after #.")
    if port == 0:
        raise NotAllowed("The address has a port that does not exist.")
    if not url.isascii() or any(char.isspace() or not char.isprintable() for char in url):
        raise NotAllowed("The address may contain ASCII characters only; write others percent-encoded.")
    literal = _literal(parts.hostname)
    if literal is not None:
        refuse_inside(str(literal))
    return parts


def _is_name(host: str) -> bool:
    if _literal(host) is not None:
        return True
    return len(host) <= 253 and all(
        0 < len(part) <= 63 and part.replace("-", "").replace("_", "").isalnum() for part in host.rstrip(".").split(".")
    )


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def refuse_inside(address: str) -> None:
    """Raise NotAllowed for an address of a private, local or otherwise special network."""
    if settings.WEBHOOKS_ALLOW_PRIVATE:
        return
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        # An IPv4 address in IPv6's clothes leads where the IPv4 address leads.
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            refuse_inside(str(inner))
    if not found.is_global or found.is_multicast:
        raise NotAllowed(f"{address} is not an address of the public internet.")


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """POST and read the beginning of the answer. Follows no redirect. Raises NotAllowed, or OSError when nothing came back."""
    parts = target(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _resolve(host, port)
    kind = _SecureConnection if parts.scheme == "https" else _Connection
    connection = kind(host, port, address)
    # A step has its own limit, but an answer that comes in drops has as many steps as it likes.
    watch = threading.Timer(WHOLE_SECONDS, connection.abort)
    watch.daemon = True
    watch.start()
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(ANSWER_BYTES).decode("utf-8", "replace"))
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer: {type(error).__name__}") from error
    finally:
        watch.cancel()
        connection.close()


def _resolve(host: str, port: int) -> str:
    """The address to connect to: all that the name has must be allowed, or none is."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (UnicodeError, socket.gaierror) as error:
        raise OSError(f"{host} has no address") from error
    addresses = [str(one[4][0]) for one in found]
    for address in addresses:
        refuse_inside(address)
    return addresses[0]


class _Connection(http.client.HTTPConnection):
    """Connects to the address that was looked at, whatever the name says by then."""

    def __init__(self, host: str, port: int, address: str) -> None:
        super().__init__(host, port, timeout=STEP_SECONDS)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), STEP_SECONDS)

    def abort(self) -> None:
        """End a call that takes too long, from another thread."""
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


class _SecureConnection(_Connection):
    """The same over TLS, with the certificate checked for the name."""

    default_port = 443

    def connect(self) -> None:
        super().connect()
        self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
