"""What leaves: due dispatches are leased, looked at once more, sent outside every transaction, and written down.

At least once: a process that dies between sending and writing down leaves a lease, and the same mail goes out again with
the same Message-ID, the same webhook with the same webhook-id. Knowingly nothing is sent twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from smtplib import SMTPException
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import connections, transaction

from itsm.kernel import clock
from itsm.notify import checks, hooks, ledger, letters, mail
from itsm.notify.models import Channel, Dispatch, Status
from itsm.tenancy.context import tenant
from itsm.tenancy.models import Tenant
from itsm.tenancy.roles import database_role

logger = logging.getLogger(__name__)
BATCH = 20
#: One round for one tenant ends after this many seconds; the next sweep goes on.
ROUND_SECONDS = 60.0

#: Told of every end: (channel, status). Set in config/wiring.py, for the metrics.
counted: list[Callable[[str, str], Any]] = []


def send_due(tenant_id: UUID) -> int:
    """Send what is due for one tenant, for up to ROUND_SECONDS. Answers how many dispatches were taken."""
    taken = 0
    end = time.monotonic() + ROUND_SECONDS
    post = _Post()
    try:
        while time.monotonic() < end:
            now = clock.now()
            with tenant(tenant_id):
                ledger.gather(now)
                batch = ledger.take(now, BATCH)
            taken += len(batch)
            for dispatch in batch:
                _deal(tenant_id, dispatch, post)
            if len(batch) < BATCH:
                break
    finally:
        post.close()
    return taken


def tenants_with_due() -> list[UUID]:
    """Tenants for whom something is due, the longest waiting first. Sees scheduling columns only (platform role)."""
    with database_role("platform") as alias, transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT tenant_id FROM notify_dispatch WHERE status IN ('planned', 'held') "
            "AND available_at <= statement_timestamp() GROUP BY tenant_id ORDER BY min(available_at)"
        )
        return [row[0] for row in cursor.fetchall()]


def _deal(tenant_id: UUID, dispatch: Dispatch, post: _Post) -> None:
    """Look at one, send it, and write down what came of it: what happens to one never keeps another from leaving."""
    content: EmailMultiAlternatives | hooks.Post | None = None
    try:
        # After what left before it: caps and resting endpoints count that.
        with tenant(tenant_id):
            content = _prepare(dispatch)
    except Exception as error:
        logger.exception("a message could not be written", extra={"dispatch_id": str(dispatch.pk)})
        with tenant(tenant_id):
            ledger.again(dispatch, type(error).__name__)
    if content is not None:
        _send(tenant_id, dispatch, content, post)
    if dispatch.status in {Status.SENT, Status.FAILED, Status.DROPPED}:
        for count in counted:
            count(dispatch.channel, dispatch.status)


def _prepare(dispatch: Dispatch) -> EmailMultiAlternatives | hooks.Post | None:
    if dispatch.channel == Channel.WEBHOOK:
        return hooks.prepare(dispatch)
    home = Tenant.objects.get(pk=str(dispatch.tenant_id))
    found = checks.letter_for(dispatch, home)
    if found is None:
        return None
    letter, reader = found
    dispatch.subject, dispatch.text, dispatch.internal = letter.subject, letter.text, letter.internal
    dispatch.provider_id = mail.message_id(dispatch)
    dispatch.save(update_fields=["subject", "text", "internal", "provider_id", "address"])
    with letters.as_read_by(reader) as language:
        return mail.build(dispatch, letter, home, language)


def _send(tenant_id: UUID, dispatch: Dispatch, content: EmailMultiAlternatives | hooks.Post, post: _Post) -> None:
    """Outside every transaction."""
    try:
        if isinstance(content, hooks.Post):
            hooks.send(tenant_id, dispatch, content)
            return
        post.send(content)
    except (SMTPException, OSError, ValueError) as error:
        logger.warning("a mail did not leave: %s", type(error).__name__, extra={"dispatch_id": str(dispatch.pk)})
        post.close()
        with tenant(tenant_id):
            said = f"{type(error).__name__}: {error}"
            if mail.is_final(error) or isinstance(error, ValueError):
                ledger.fail(dispatch, said, "refused")
            else:
                ledger.again(dispatch, said)
    else:
        with tenant(tenant_id):
            ledger.sent(dispatch, mail.message_id(dispatch))


class _Post:
    """The way to the mail server: opened for the first mail of a round, closed after it or after a failure."""

    def __init__(self) -> None:
        self._connection: Any = None

    def send(self, message: EmailMultiAlternatives) -> None:
        if self._connection is None:
            self._connection = get_connection(settings.EMAIL_BACKEND)
            self._connection.open()
        if not self._connection.send_messages([message]):
            raise OSError("the mail server took nothing")

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except (SMTPException, OSError) as error:
                logger.info("the mail server hung up: %s", type(error).__name__)
