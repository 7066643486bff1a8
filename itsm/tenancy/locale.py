"""In which language and time zone somebody may read."""

from __future__ import annotations

from zoneinfo import available_timezones

from django.conf import settings

from itsm.kernel.errors import Problems


def check_language(problems: Problems, value: str) -> None:
    """Add a problem unless the product speaks the language."""
    if value not in dict(settings.LANGUAGES):
        known = ", ".join(dict(settings.LANGUAGES))
        problems.add("language", "unknown_language", f"language must be one of {known}.")


def check_time_zone(problems: Problems, value: str) -> None:
    """Add a problem unless it is a zone of the IANA database."""
    if value not in available_timezones():
        problems.add("time_zone", "unknown_zone", "time_zone must be a name such as Europe/Berlin.")
