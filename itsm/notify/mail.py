"""A letter as a mail: headers that no loop answers to, threads by ticket, and an id that stays with the ledger's row."""

from __future__ import annotations

from smtplib import SMTPRecipientsRefused, SMTPResponseException

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email

from itsm.notify import letters
from itsm.notify.addresses import mail_domain
from itsm.notify.models import Dispatch
from itsm.tenancy.models import Tenant

_NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"


def leaves() -> bool:
    """Whether mail goes anywhere at all: to a server, or into files."""
    return str(settings.EMAIL_BACKEND) != _NO_MAIL


def message_id(dispatch: Dispatch) -> str:
    """Stable for a row of the ledger: a mail that was sent twice by accident is seen to be the same one."""
    return f"<{dispatch.pk}@{mail_domain()}>"


def usable(address: str) -> bool:
    """Whether this is one address and nothing else."""
    try:
        validate_email(address)
    except ValidationError:
        return False
    return not any(char in address for char in '\r\n,;<>" \t')


def build(dispatch: Dispatch, letter: letters.Letter, tenant: Tenant, language: str) -> EmailMultiAlternatives:
    """The mail. Subject and names went through one_line(): no value starts a header of its own."""
    domain = mail_domain()
    headers = {
        "Message-ID": message_id(dispatch),
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "List-Id": f"{letters.one_line(tenant.name).translate(_UNQUOTED)} <{tenant.slug}.{domain}>",
    }
    if dispatch.ticket_id is not None:
        thread = f"<ticket-{dispatch.ticket_id}@{domain}>"
        headers |= {"References": thread, "In-Reply-To": thread}
    mail = EmailMultiAlternatives(
        subject=letter.subject, body=letter.text, to=[dispatch.address], headers=headers, from_email=_sender(tenant)
    )
    mail.attach_alternative(letters.html_of(letter.text, language, tenant), "text/html")
    return mail


#: What would end a phrase in a header.
_UNQUOTED = {ord(char): None for char in '<>"\\()[]:;@,'}


def _sender(tenant: Tenant) -> str:
    address = settings.DEFAULT_FROM_EMAIL
    name = letters.one_line(tenant.name).translate(_UNQUOTED)
    return address if "<" in address or not name else f'"{name}" <{address}>'


def is_final(error: Exception) -> bool:
    """Whether trying again would end the same way: the server knows the recipient and refuses (5xx)."""
    if isinstance(error, SMTPRecipientsRefused):
        return all(500 <= code < 600 for code, _ in error.recipients.values())
    return (
        isinstance(error, SMTPResponseException) and 500 <= error.smtp_code < 600 and error.smtp_code not in {530, 535}
    )
