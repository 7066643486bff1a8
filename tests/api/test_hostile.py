"""Hostile input: every answer is a problem that names the place, nothing crashes, nothing is written."""

from __future__ import annotations

import base64
from typing import Any
from uuid import uuid4

import orjson
import pytest

from itsm.doors.sizes import UPLOAD_MAX_BYTES
from tests.api.caller import Caller, problem
from tests.api.test_incidents import footprint
from tests.factories import Desk

BODIES: list[tuple[bytes, int, str, str]] = [
    (b"{", 400, "malformed_json", ""),
    (b"nonsense", 400, "malformed_json", ""),
    (b'{"title": NaN}', 400, "malformed_json", ""),
    (b'{"title": Infinity}', 400, "malformed_json", ""),
    (b'{"impact": 1e999, "title": "x"}', 400, "out_of_range", "/impact"),
    (b'{"impact": ' + b"9" * 5000 + b"}", 400, "malformed_json", ""),
    (b'{"title": "a", "title": "b"}', 400, "duplicate_key", "/title"),
    (b'{"title": "\xff\xfe"}', 400, "not_utf8", ""),
    (b'\xef\xbb\xbf{"title": "bom"}', 400, "malformed_json", ""),
    (b'{"title": "a\\u0000b"}', 400, "nul_character", "/title"),
    (b'{"a\\u0000b": 1}', 400, "nul_character", ""),
    (b'{"title": "\\ud800"}', 400, "not_unicode", "/title"),
    (b'{"\\ud800": 1}', 400, "not_unicode", ""),
    (b'{"title": ' + b"[" * 100 + b"]" * 100 + b"}", 400, "too_deep", ""),
    (b"[" * 100_000, 400, "too_deep", ""),
    (b"[]", 400, "invalid", ""),
    (b'"text"', 400, "invalid", ""),
    (b"null", 400, "null", ""),
    (b"{}", 400, "required", "/title"),
    (b'{"title": ""}', 400, "blank", "/title"),
    (b'{"title": "  \\n "}', 400, "required", "/title"),
    (b'{"title": null}', 400, "null", "/title"),
    (b'{"title": 5}', 400, "invalid", "/title"),
    (b'{"title": {"x": 1}}', 400, "invalid", "/title"),
    (b'{"title": "two\\nlines"}', 400, "control_character", "/title"),
    (b'{"title": "x", "impact": "1"}', 400, "invalid", "/impact"),
    (b'{"title": "x", "impact": true}', 400, "invalid", "/impact"),
    (b'{"title": "x", "impact": 1.5}', 400, "invalid", "/impact"),
    (b'{"title": "x", "urgency": 4}', 400, "max_value", "/urgency"),
    (b'{"title": "x", "team": "network"}', 400, "invalid", "/team"),
    (b'{"title": "x", "team": 7}', 400, "invalid", "/team"),
    (b'{"title": "x", "channel": "pigeon"}', 400, "unknown_value", "/channel"),
    (b'{"title": "x", "number": "INC1"}', 400, "unknown_field", "/number"),
    (b'{"title": "x", "a/b~c": 1}', 400, "unknown_field", "/a~1b~0c"),
    (b'{"title": "' + b"x" * 201 + b'"}', 400, "max_length", "/title"),
    (b'{"title": "x", "description": "' + b"x" * 1_000_000 + b'"}', 400, "max_length", "/description"),
    (b'{"title": "' + b"x" * 2_200_000 + b'"}', 413, "too_large", ""),
]


@pytest.mark.parametrize(("body", "status", "code", "pointer"), BODIES, ids=range(len(BODIES)))
def test_body(acme: Desk, agent: Caller, body: bytes, status: int, code: str, pointer: str) -> None:
    then = footprint(acme)
    answer = agent.post("incidents/", body)
    assert answer.status_code == status, answer.content[:300]
    found = problem(answer, status, code if status == 413 else "invalid")
    if status == 400:
        assert (found["errors"][0]["code"], found["errors"][0]["pointer"]) == (code, pointer), found
    assert footprint(acme) == then


def test_foreign_and_unknown_references_get_the_same_answer(acme: Desk, globex: Desk, agent: Caller) -> None:
    foreign = {
        "team": globex.teams["network"].pk,
        "assignee": globex.people["agent"].pk,
        "requester": globex.people["requester"].pk,
        "service": uuid4(),
        "category": uuid4(),
    }
    hidden = acme.teams["hr"].pk
    then = footprint(acme), footprint(globex)
    for field, value in [*foreign.items(), *((name, uuid4()) for name in foreign), ("team", hidden)]:
        found = problem(agent.post("incidents/", {"title": "x", field: str(value)}), 400, "invalid")
        assert found["errors"][0]["pointer"] == f"/{field}"
        assert found["errors"][0]["code"] == "unknown_reference"
    theirs = globex.incident()
    same = set()
    for key in (str(theirs.pk), str(uuid4()), "INC0009999", "nonsense", "%00", "..%2f..", "INC'--", "é", "0" * 300):
        for method, path in (("GET", ""), ("GET", "comments/"), ("POST", "start/"), ("GET", "timeline/")):
            headers = {"If_Match": '"1"'} if method == "POST" else {}
            found = problem(agent.send(method, f"incidents/{key}/{path}", **headers), 404, "not_found")
            same.add(found["detail"])
    assert same <= {
        "There is no such object, or you may not see it.",
        "There is no such address in this API. See /api/v1/docs/.",
    }
    assert (footprint(acme), footprint(globex)[1:]) == (then[0], (then[1][1] + 1, then[1][2] + 1))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer vbl_" + "x" * 43,
        "Basic YTpi",
        "Bearer " + "x" * 9000,
        "Bearer ümlaut",
    ],
)
def test_bad_tokens(acme: Desk, agent: Caller, header: str) -> None:
    for root in ("/t/acme/api/v1/", "/api/v1/"):
        answer = agent.client.post(
            f"{root}incidents/", {"title": "x"}, content_type="application/json", headers={"Authorization": header}
        )
        problem(answer, 401, "not_authenticated")
        assert answer["WWW-Authenticate"] == 'Bearer realm="viable"'


def test_a_revoked_token_and_a_disabled_maker_stop_at_once(acme: Desk, agent: Caller) -> None:
    from itsm.access.commands import set_person_active

    assert agent.get("me/").status_code == 200
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["agent"].pk, active=False)
    problem(agent.get("me/"), 401, "not_authenticated")


@pytest.mark.parametrize(
    ("query", "parameter", "code"),
    [
        ("frobnicate=1", "frobnicate", "unknown_parameter"),
        ("state=new&state=resolved", "state", "repeated_parameter"),
        ("state=nonsense", "state", "unknown_value"),
        ("state=", "state", "empty"),
        ("priority=9", "priority", "unknown_value"),
        ("team=network", "team", "not_an_id"),
        ("assignee=%00", "assignee", "unreadable"),
        ("q=%ff%fe", "q", "unreadable"),
        ("updated_since=yesterday", "updated_since", "not_a_time"),
        ("updated_since=2026-03-01", "updated_since", "not_a_time"),
        ("updated_since=2026-03-01T00:00:00", "updated_since", "not_a_time"),
        ("updated_since=2026-02-30T00:00:00Z", "updated_since", "not_a_time"),
        ("updated_since=0001-01-01T00:00:00%2B14:00", "updated_since", "not_a_time"),
        ("sort=title", "sort", "unknown_value"),
        ("fields=title,password", "fields", "unknown_value"),
        ("expand=links", "expand", "unknown_value"),
        ("limit=0", "limit", "out_of_range"),
        ("limit=201", "limit", "out_of_range"),
        ("limit=-1", "limit", "out_of_range"),
        ("limit=٣", "limit", "out_of_range"),
        ("cursor=nonsense", "cursor", "invalid_cursor"),
        ("cursor=W10", "cursor", "invalid_cursor"),
        # An offset that PostgreSQL does not know, and a year before the first.
        (
            "cursor=WyItb3BlbmVkX2F0IiwgIjAwMDEtMDEtMDFUMDA6MDA6MDArMTQ6MDAiLCAiMDE5MGMyYTEtN2YzZS03YzExLThkMmEtNWIxZjBhOWMzZTQ0IiwgZmFsc2Vd",
            "cursor",
            "invalid_cursor",
        ),
        ("count=yes", "count", "unknown_value"),
        ("q=" + "x" * 3000, "q", "too_long"),
        ("team=" + ",".join(["none"] * 60), "team", "too_many"),
    ],
)
def test_query(agent: Caller, query: str, parameter: str, code: str) -> None:
    found = problem(agent.get(f"incidents/?{query}"), 400, "invalid")
    assert (found["errors"][0]["parameter"], found["errors"][0]["code"]) == (parameter, code)


def test_a_query_on_a_write_is_refused(acme: Desk, agent: Caller) -> None:
    found = problem(agent.post("incidents/?dry_run=true", {"title": "x"}), 400, "invalid")
    assert found["errors"][0]["parameter"] == "dry_run"


def test_methods_types_and_addresses(acme: Desk, agent: Caller) -> None:
    assert problem(agent.send("DELETE", "incidents/"), 405, "method_not_allowed")
    assert agent.send("PUT", "incidents/")["Allow"] == "GET, POST, HEAD"
    problem(agent.send("OPTIONS", "incidents/"), 405, "method_not_allowed")
    problem(agent.send("TRACE", "incidents/"), 405, "method_not_allowed")
    problem(
        agent.post("incidents/", b"title=x", content_type="application/x-www-form-urlencoded"),
        415,
        "unsupported_media_type",
    )
    problem(agent.post("incidents/", b"<x/>", content_type="text/xml"), 415, "unsupported_media_type")
    problem(agent.get("nowhere/"), 404, "not_found")
    problem(agent.get("incidents/x/y/z/"), 404, "not_found")
    problem(agent.get(""), 404, "not_found")
    assert agent.send("HEAD", "incidents/").status_code == 200


FILES: list[tuple[str, bytes, int, str]] = [
    ("run.exe", b"MZ....", 400, "type_refused"),
    ("page.html", b"<script>alert(1)</script>", 400, "type_refused"),
    ("drawing.SVG", b"<svg onload=alert(1)>", 400, "type_refused"),
    ("innocent.txt", b"MZ\x90\x00" + b"\x00" * 300, 400, "type_refused"),
    ("empty.txt", b"", 400, "empty"),
    ("x" * 300 + ".txt", b"x", 400, "too_long"),
    ("../../etc/passwd", b"x", 201, ""),
    ("a\r\nSet-Cookie: x=1.txt", b"x", 201, ""),
    ('quo"te; filename=evil.html', b"x", 201, ""),
    ("ключ 鍵.txt", b"x", 201, ""),
]


@pytest.mark.parametrize(("name", "content", "status", "code"), FILES, ids=[repr(f[0][:20]) for f in FILES])
def test_files(acme: Desk, agent: Caller, name: str, content: bytes, status: int, code: str) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    ticket = acme.incident()
    address = f"incidents/{ticket.pk}/attachments/"
    then = footprint(acme)
    file = SimpleUploadedFile("x", content, content_type="text/html")
    file._name = name  # type: ignore[attr-defined]  # past the checks of Django's own client-side class
    answer = agent.upload(address, {"file": file})
    assert answer.status_code == status, answer.content
    if status == 400:
        assert problem(answer, 400, "invalid")["errors"][0]["code"] in {code, "invalid"}
        assert footprint(acme) == then
        return
    made = answer.json()
    assert "/" not in made["name"]
    assert not any(ord(char) < 32 for char in made["name"])
    load = agent.get(f"{address}{made['id']}/content/")
    assert b"".join(load.streaming_content) == content
    assert load["Content-Type"] == "application/octet-stream"
    assert load["Content-Disposition"].startswith("attachment; filename")
    assert load["X-Content-Type-Options"] == "nosniff"
    assert load["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "evil.html" not in load["Content-Disposition"].replace('\\"', "").split('"')[-1]


def test_uploads_that_are_no_uploads(acme: Desk, agent: Caller) -> None:
    ticket = acme.incident()
    address = f"incidents/{ticket.pk}/attachments/"
    then = footprint(acme)
    for body, kind in (
        (b"nonsense", "multipart/form-data"),
        (b"nonsense", "multipart/form-data; boundary=x"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"{}", "application/json"),
        (b'{"file": "x"}', "application/json"),
    ):
        for headers in ({}, {"Idempotency_Key": f"k-{len(body)}"}):
            answer = agent.post(address, body, content_type=kind, **headers)
            assert answer.status_code == 400, (body, kind, answer.content)
    assert problem(agent.upload(address, {"file": "text"}), 400, "invalid")["errors"][0]["pointer"] == "/file"
    huge: dict[str, Any] = {"CONTENT_LENGTH": str(UPLOAD_MAX_BYTES + 1)}
    answer = agent.client.generic("POST", f"/t/acme/api/v1/{address}", b"x", headers=agent.headers, **huge)
    problem(answer, 413, "too_large")
    for length in ("nonsense", "-5", "9" * 5000):
        odd: dict[str, Any] = {"CONTENT_LENGTH": length}
        answer = agent.client.generic(
            "POST", "/t/acme/api/v1/incidents/", b"x", "application/json", headers=agent.headers, **odd
        )
        assert answer.status_code in {400, 413}, (length, answer.content)
    assert footprint(acme) == then


def test_internal_files_do_not_exist_for_requesters(acme: Desk, agent: Caller, requester: Caller) -> None:
    from io import BytesIO

    ticket = acme.incident()
    address = f"incidents/{ticket.pk}/attachments/"
    secret = agent.upload(address, {"file": BytesIO(b"secret"), "audience": "internal"}).json()
    public = requester.upload(address, {"file": BytesIO(b"log")}).json()
    assert [f["id"] for f in agent.get(address).json()["results"]] == [secret["id"], public["id"]]
    assert [f["id"] for f in requester.get(address).json()["results"]] == [public["id"]]
    for path in ("", "content/"):
        problem(requester.get(f"{address}{secret['id']}/{path}"), 404, "not_found")
    problem(requester.delete(f"{address}{secret['id']}/"), 404, "not_found")
    problem(Caller(acme, "colleague").get(f"{address}{public['id']}/content/"), 404, "not_found")
    assert requester.delete(f"{address}{public['id']}/").status_code == 204
    problem(agent.get(f"{address}{public['id']}/content/"), 404, "not_found")


def test_a_cursor_with_an_offset_that_only_python_knows_still_pages(acme: Desk, agent: Caller) -> None:
    acme.incident()
    place = orjson.dumps(["-opened_at", "2999-01-01T00:00:00+23:59", str(uuid4()), False])
    cursor = base64.urlsafe_b64encode(place).rstrip(b"=").decode()
    answer = agent.get(f"incidents/?cursor={cursor}")
    assert (answer.status_code, len(answer.json()["results"])) == (200, 1)
