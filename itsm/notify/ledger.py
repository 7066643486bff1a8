"""The states of a dispatch: taken under a lease, sent, tried again, held, dropped, failed. Call all of it inside the tenant."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby

from django.db.models import F, QuerySet

from itsm.kernel import clock
from itsm.kernel.ids import new_id
from itsm.notify.models import WAITING, Channel, Dispatch, Status

#: How long one sender may take for what it took before another one takes it.
LEASE = timedelta(minutes=10)
#: After this many attempts a dispatch has failed; together the waits are about eight hours.
MAX_ATTEMPTS = 14
_LONGEST = 3600


def due(now: datetime) -> QuerySet[Dispatch]:
    return Dispatch.objects.filter(status=Status.PLANNED, available_at__lte=now)


def take(now: datetime, limit: int) -> list[Dispatch]:
    """Lease up to ``limit`` due dispatches. The lease counts as an attempt: one that kills its worker ends as failed too."""
    rows = list(
        due(now)
        .select_for_update(skip_locked=True, of=("self",))
        .select_related("person", "notification__event", "event")
        .order_by("available_at", "pk")[:limit]
    )
    spent = [row for row in rows if row.attempts >= MAX_ATTEMPTS]
    for row in spent:
        fail(row, "no attempt came to an end")
    taken = [row for row in rows if row.attempts < MAX_ATTEMPTS]
    Dispatch.objects.filter(pk__in=[row.pk for row in taken]).update(
        attempts=F("attempts") + 1, available_at=now + LEASE
    )
    for row in taken:
        row.attempts += 1
    return taken


def gather(now: datetime, limit: int = 500) -> int:
    """Join held dispatches whose time has come: one mail for each person. Answers how many mails."""
    held = Dispatch.objects.filter(status=Status.HELD, available_at__lte=now, channel=Channel.EMAIL)
    rows = list(
        held.select_for_update(skip_locked=True, of=("self",)).order_by("person_id", "created_at", "pk")[:limit]
    )
    mails = 0
    for person_id, group in groupby(rows, key=lambda row: row.person_id):
        parts = list(group)
        mail = Dispatch(
            pk=new_id(),
            tenant_id=parts[0].tenant_id,
            key=f"digest:{parts[0].pk}",
            channel=Channel.EMAIL,
            person_id=person_id,
            created_at=now,
            available_at=now,
        )
        if Dispatch.objects.bulk_create([mail], ignore_conflicts=True) and Dispatch.objects.filter(pk=mail.pk).exists():
            _update(parts, digest_id=mail.pk, available_at=None)
            mails += 1
    return mails


def parts_of(mail: Dispatch) -> list[Dispatch]:
    """What a digest carries, in the order of planning."""
    parts = Dispatch.objects.filter(digest_id=mail.pk, status=Status.HELD).select_related("notification__event")
    return list(parts.order_by("created_at", "pk"))


def sent(row: Dispatch, provider_id: str) -> None:
    """It left. What a digest carried has left with it."""
    end = {"status": Status.SENT, "finished_at": clock.now(), "available_at": None}
    _update([row], provider_id=provider_id[:200], error="", reason="", **end)
    Dispatch.objects.filter(digest_id=row.pk, status=Status.HELD).update(**end)


def hold(row: Dispatch, reason: str, until: datetime) -> None:
    """Let it wait and leave together with others. A digest itself only waits: it is planned for later."""
    status = Status.PLANNED if row.notification_id is None else Status.HELD
    # Waiting was no attempt.
    _update([row], status=status, reason=reason, available_at=until, attempts=max(row.attempts - 1, 0))


def drop(row: Dispatch, reason: str) -> None:
    """It will not leave, on purpose."""
    _update([row], status=Status.DROPPED, reason=reason, available_at=None, finished_at=clock.now())
    left = Dispatch.objects.filter(digest_id=row.pk, status=Status.HELD)
    left.update(status=Status.DROPPED, reason=reason, finished_at=clock.now())


def fail(row: Dispatch, error: str, reason: str = "gave_up") -> None:
    """It could not leave, and nobody tries again."""
    end = {"status": Status.FAILED, "reason": reason, "available_at": None, "finished_at": clock.now()}
    _update([row], error=_said(error), **end)
    Dispatch.objects.filter(digest_id=row.pk, status=Status.HELD).update(**end)


def again(row: Dispatch, error: str, *, at: datetime | None = None) -> None:
    """It could not leave now: try later, each time later than before."""
    if row.attempts >= MAX_ATTEMPTS:
        fail(row, error)
        return
    wait = timedelta(seconds=min(5 * 2**row.attempts, _LONGEST))
    _update([row], error=_said(error), available_at=at or clock.now() + wait)


def put_back(row: Dispatch, at: datetime) -> None:
    """Not tried at all: no attempt is counted."""
    _update([row], available_at=at, attempts=max(row.attempts - 1, 0))


def _update(rows: Iterable[Dispatch], **values: object) -> None:
    rows = list(rows)
    for row in rows:
        for name, value in values.items():
            setattr(row, name, value)
    # Never out of an end: whoever was slower than its lease finds what another sender has done.
    Dispatch.objects.filter(pk__in=[row.pk for row in rows], status__in=WAITING).update(**values)


def _said(error: str) -> str:
    """What can be stored of an error."""
    return error.replace("\x00", "")[:300]
