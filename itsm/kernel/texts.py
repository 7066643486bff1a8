"""What every text field accepts, checked once for every door."""

from __future__ import annotations

import unicodedata

from itsm.kernel.errors import Problems

TITLE_MAX = 200
BODY_MAX = 100_000


def clean_text(
    problems: Problems, field: str, value: str, *, limit: int, required: bool = False, line: bool = False
) -> str:
    """The text as it is stored: NFC, no NUL, line ends as \\n, trimmed. Adds a problem when it is empty, too long or unstorable.

    ``line`` is for one-line fields: control characters, which could split a mail header, are refused there.
    """
    if "\x00" in value:
        problems.add(field, "nul_character", f"{field} contains a NUL character. Remove it.")
        return ""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        problems.add(field, "not_unicode", f"{field} contains half of a surrogate pair, which is no text.")
        return ""
    text = unicodedata.normalize("NFC", value.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if line and any(unicodedata.category(char) == "Cc" for char in text):
        problems.add(field, "control_character", f"{field} must be one line without control characters.")
    if required and not text:
        problems.add(field, "required", f"{field} must not be empty.")
    if len(text) > limit:
        problems.add(
            field,
            "too_long",
            f"{field} has {len(text)} characters; the limit is {limit}.",
            length=len(text),
            limit=limit,
        )
    return text
