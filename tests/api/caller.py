"""A caller of the API in tests: a token of one person of a desk, over Django's test client."""

from __future__ import annotations

from typing import Any

import orjson
from django.test import Client

from tests.factories import Desk


class Caller:
    """Sends JSON as ``who`` and answers Django's response. ``api.post("incidents/", {...})``."""

    def __init__(self, desk: Desk, who: str = "agent", *scopes: str, prefix: bool = True) -> None:
        self.desk = desk
        self.root = f"{desk.prefix if prefix else ''}/api/v1/"
        self.headers = {"Authorization": f"Bearer {desk.token(who, *scopes)}"}
        self.client = Client(raise_request_exception=False)

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(self._url(path), headers={**self.headers, **_names(headers)})

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """``body`` is bytes, sent as they are, or anything that JSON can say."""
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        content = headers.pop("content_type", "application/json")
        return self.client.generic(
            method, self._url(path), raw, content_type=content, headers={**self.headers, **_names(headers)}
        )

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("POST", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.send("DELETE", path, **headers)

    def upload(self, path: str, data: dict[str, Any], **headers: str) -> Any:
        return self.client.post(self._url(path), data, headers={**self.headers, **_names(headers)})

    def _url(self, path: str) -> str:
        return path if path.startswith(("/", "http")) else self.root + path


def _names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Assert that the response is this problem, with all its members; answers the body."""
    assert response.status_code == status, (response.status_code, response.content[:500])
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"], body["type"].rsplit("/", 1)[-1]) == (status, code, code), body
    assert body["request_id"] == response["X-Request-ID"]
    assert body["detail"]
    return body
