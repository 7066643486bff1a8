"""How many bytes a body may have, asked before any of them is read."""

from __future__ import annotations

from django.http import HttpRequest

from itsm.kernel.errors import DomainError

#: Bytes of a JSON body. The longest text is 100,000 characters, so this is ample.
BODY_MAX_BYTES = 2 * 1024 * 1024
#: Bytes of an upload before anything is read; the tenant's own limit, which is smaller, is checked by the command.
UPLOAD_MAX_BYTES = 128 * 1024 * 1024


class TooLarge(DomainError):
    """The body is larger than the service reads."""

    code = "too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes.")


def refuse_oversize(request: HttpRequest, limit: int) -> None:
    """Raise TooLarge, before anything is read, when the announced length of the body is above ``limit``."""
    announced = str(request.META.get("CONTENT_LENGTH") or "0")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise TooLarge(limit)
