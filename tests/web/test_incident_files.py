"""Files on the incident page: up, down, refused, lost."""

from __future__ import annotations

from io import BytesIO

from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile

from itsm.events.relay import relay
from itsm.tickets.commands import (
    attach_file,
)
from itsm.tickets.models import Attachment, Comment, NumberSeries, Ticket
from tests.factories import Desk
from tests.web.conftest import Browser
from tests.web.sending import post, text, url


def test_files_go_up_and_come_down_inert(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    requester = browser("requester")
    upload = SimpleUploadedFile("../../evil\u202e name.txt", b"<script>alert(1)</script>", content_type="text/html")
    sent = post(requester, acme, ticket, "comment", audience="public", body="See file", file=upload)
    assert sent.status_code == 302
    with acme.inside():
        file = Attachment.objects.get()
        assert Comment.objects.get().body == "See file"
    response = requester.get(url(acme, ticket, f"files/{file.pk}"))
    assert response.status_code == 200
    assert b"".join(response.streaming_content) == b"<script>alert(1)</script>"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["Content-Type"] == "application/octet-stream"
    assert browser("colleague").get(url(acme, ticket, f"files/{file.pk}")).status_code == 404
    program = SimpleUploadedFile("setup.exe", b"MZ")
    refused = post(requester, acme, ticket, "comment", audience="public", body="kept text", file=program)
    assert refused.status_code == 400
    assert "kept text" in text(refused)
    assert ".exe" in text(refused)
    with acme.inside():
        assert (Attachment.objects.count(), Comment.objects.count()) == (1, 1)
    assert post(browser("agent"), acme, ticket, "detach", file=str(file.pk)).status_code == 302
    assert requester.get(url(acme, ticket, f"files/{file.pk}")).status_code == 404


def test_a_refused_file_costs_no_number(acme: Desk, browser: Browser) -> None:
    client, data = browser("requester"), {"title": "With a file", "description": "", "impact": "3", "urgency": "3"}
    bad = SimpleUploadedFile("virus.exe", b"MZ")
    answer = client.post(f"{acme.prefix}/incidents/new/", {**data, "file": bad})
    assert answer.status_code == 400
    with acme.inside():
        assert NumberSeries.objects.get(kind="incident").last_value == 1000
        assert not Ticket.objects.exists()


def test_a_file_that_the_storage_has_lost_is_unknown(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    file = attach_file(actor=acme.actor("requester"), ticket_id=ticket.pk, name="a.txt", content=BytesIO(b"x"), size=1)
    address = f"{acme.prefix}/incidents/{ticket.number}/files/{file.pk}/"
    answer = browser("requester").get(address)
    assert (answer.getvalue(), answer["Content-Type"]) == (b"x", "application/octet-stream")
    relay(acme.tenant.pk)
    with acme.inside():
        default_storage.delete(Attachment.objects.get(pk=file.pk).storage_key)
    assert browser("requester").get(address).status_code == 404
