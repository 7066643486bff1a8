"""Idempotency-Key: a POST that is sent again does nothing twice and gets the first answer again.

The answer is stored in the request's own transaction, so there is neither a change without its answer nor an answer
without its change. A request that failed is not stored: it changed nothing and may be repeated.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.api.models import IdempotencyKey
from itsm.doors.sizes import BODY_MAX_BYTES, refuse_oversize
from itsm.events.models import Event
from itsm.events.write import UnitOfWork
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError, FieldProblem, Invalid

KEEP = timedelta(hours=48)
_KEY = re.compile(r"\A[\x21-\x7e]{1,255}\Z")
_KEPT_HEADERS = ("ETag", "Location")


class KeyReused(DomainError):
    """The key was used for another request."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another request. Use a new key for a new request.")


class InFlight(DomainError):
    """The first request with this key has not ended yet."""

    code = "idempotency_in_flight"
    wait = 1

    def __init__(self) -> None:
        super().__init__("A request with this Idempotency-Key is being worked on. Repeat it in a second.")


class AnswerRemoved(DomainError):
    """The request was carried out; its answer was removed together with somebody's texts."""

    code = "idempotency_answer_removed"

    def __init__(self) -> None:
        super().__init__("This request was carried out before. Its answer has been removed; read the object instead.")


class RightsChanged(DomainError):
    """The request was carried out; the caller's rights are others now, and the stored answer may show more than they allow."""

    code = "idempotency_rights_changed"

    def __init__(self) -> None:
        super().__init__(
            "This request was carried out before. Your rights have changed since; read the object instead."
        )


class Attempt:
    """One POST with a key: ``answer`` is the stored answer of an earlier one, or None when this is the first."""

    def __init__(self, actor: Actor, key: str, digest: bytes) -> None:
        self.caller_id: UUID = actor.token_id or actor.person_id or actor.tenant_id
        self.key = key
        self.digest = digest
        self.rights = _rights(actor)
        self.answer: HttpResponse | None = None
        with connection.cursor() as cursor:
            # Held until the transaction ends, which is exactly as long as the request is in flight.
            cursor.execute(
                "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))",
                [f"{actor.tenant_id}:{self.caller_id}:{key}"],
            )
            if not cursor.fetchone()[0]:
                raise InFlight
        stored = IdempotencyKey.objects.filter(tenant_id=actor.tenant_id, caller_id=self.caller_id, key=key).first()
        if stored is not None and stored.created_at < clock.now() - KEEP:
            stored.delete()
            stored = None
        if stored is not None:
            self.answer = self._replay(stored)

    def _replay(self, stored: IdempotencyKey) -> HttpResponse:
        if bytes(stored.digest) != self.digest:
            raise KeyReused
        if not stored.body and stored.status != 204:
            raise AnswerRemoved
        if bytes(stored.rights) != self.rights:
            raise RightsChanged
        answer = HttpResponse(bytes(stored.body), status=stored.status, content_type="application/json")
        for name, value in stored.headers.items():
            answer[name] = value
        answer["Idempotent-Replayed"] = "true"
        return answer

    def store(self, actor: Actor, response: Response, body: bytes) -> None:
        """Keep the answer of a request that succeeded."""
        IdempotencyKey(
            tenant_id=actor.tenant_id,
            caller_id=self.caller_id,
            key=self.key,
            digest=self.digest,
            rights=self.rights,
            status=response.status_code,
            body=body,
            headers={name: response[name] for name in _KEPT_HEADERS if name in response},
        ).save(force_insert=True)


def begin(request: Request, actor: Actor) -> Attempt | None:
    """The attempt that the header announces; None without the header. Raises Invalid, KeyReused or InFlight."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not _KEY.match(key):
        detail = "Idempotency-Key must be 1 to 255 printable ASCII characters without blanks, such as a UUID."
        raise Invalid([FieldProblem("!Idempotency-Key", "malformed_key", detail)], detail)
    return Attempt(actor, key, _digest(request._request))


def _rights(actor: Actor) -> bytes:
    """A digest of all that decides what the actor may see and do."""
    grants = sorted((grant.role, grant.process or "", str(grant.team_id or "")) for grant in actor.grants)
    scopes = None if actor.scopes is None else sorted(actor.scopes)
    return hashlib.sha256(repr((grants, scopes, sorted(map(str, actor.hidden_teams)))).encode()).digest()


def _digest(request: HttpRequest) -> bytes:
    seen = hashlib.sha256(
        f"{request.method}\n{request.path_info.rstrip('/')}\n{request.META.get('QUERY_STRING', '')}\n".encode()
    )
    if (request.content_type or "").lower() == "multipart/form-data":
        for name in sorted(request.POST):
            seen.update(repr((name, request.POST.getlist(name))).encode("utf-8", "replace"))
        for name in sorted(request.FILES):
            for file in request.FILES.getlist(name):
                seen.update(repr((name, file.name, file.size)).encode("utf-8", "replace"))
                for chunk in file.chunks():
                    seen.update(chunk)
                file.seek(0)
    else:
        refuse_oversize(request, BODY_MAX_BYTES)
        seen.update(request.body)
    return seen.digest()


def forget_answers(work: UnitOfWork, _event: Event) -> None:
    """Subscriber: texts were removed, and any stored answer may repeat them. That the requests were done stays known."""
    IdempotencyKey.objects.filter(tenant_id=work.actor.tenant_id).update(body=b"")


def prune(tenant_id: UUID) -> int:
    """Forget answers older than 48 hours. Answers how many."""
    old = IdempotencyKey.objects.filter(tenant_id=tenant_id, created_at__lt=clock.now() - KEEP)
    return int(old.delete()[0])
