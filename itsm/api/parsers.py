"""Reading bodies. What is not exactly JSON as RFC 8259 and I-JSON mean it is refused with the place and the remedy."""

from __future__ import annotations

import json
from typing import IO, Any

from rest_framework.parsers import BaseParser, MultiPartParser

from itsm.doors.sizes import BODY_MAX_BYTES, TooLarge
from itsm.kernel.errors import FieldProblem, Invalid

DEPTH_MAX = 16


class _DuplicateKey(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class JSONParser(BaseParser):
    """Strict JSON: UTF-8, no duplicate keys, no NaN or Infinity, no NUL or half surrogates, at most 16 levels deep."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: Any = None, parser_context: Any = None) -> Any:
        raw = stream.read(BODY_MAX_BYTES + 1)
        if len(raw) > BODY_MAX_BYTES:
            raise TooLarge(BODY_MAX_BYTES)
        return parse_json(raw) if raw.strip() else {}


class UploadParser(MultiPartParser):
    """multipart/form-data, for files."""


def parse_json(raw: bytes) -> Any:
    """The value of a JSON text. Raises Invalid saying what is wrong and where."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad("not_utf8", f"The body is not UTF-8 (byte {error.start}). Encode it as UTF-8.") from None
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except _DuplicateKey as error:
        detail = f"The key {_shown(error.key)} appears twice in one object. Send it once."
        raise Invalid([FieldProblem(_pointer("", error.key), "duplicate_key", detail)], detail) from None
    except json.JSONDecodeError as error:
        raise _bad(
            "malformed_json", f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise _bad("too_deep", f"The body is nested more than {DEPTH_MAX} levels deep.") from None
    except ValueError:
        raise _bad("malformed_json", "The body holds a number that is NaN, infinite or too long.") from None
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKey(next(key for key in keys if keys.count(key) > 1))
    return found


def _constant(name: str) -> Any:
    raise ValueError(name)


def _check(value: Any) -> None:
    """Walk the value without recursion: depth, NUL characters, text that is no Unicode, infinite numbers."""
    waiting: list[tuple[str, Any, int]] = [("", value, 1)]
    while waiting:
        where, item, depth = waiting.pop()
        if isinstance(item, str):
            _check_text(where, item)
        elif isinstance(item, float) and item in (float("inf"), float("-inf")):
            raise Invalid([FieldProblem(where, "out_of_range", "This number is too large.")], "A number is too large.")
        elif isinstance(item, dict | list):
            if depth > DEPTH_MAX:
                raise _bad("too_deep", f"The body is nested more than {DEPTH_MAX} levels deep.")
            for key, inner in item.items() if isinstance(item, dict) else enumerate(item):
                if isinstance(key, str):
                    _check_text(where, key)
                waiting.append((_pointer(where, str(key)), inner, depth + 1))


def _check_text(where: str, text: str) -> None:
    if "\x00" in text:
        detail = f"{where or 'The body'} contains a NUL character. Remove it."
        raise Invalid([FieldProblem(where, "nul_character", detail)], detail)
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            detail = f"{where or 'The body'} contains half of a surrogate pair, which is no text."
            raise Invalid([FieldProblem(where, "not_unicode", detail)], detail) from None


def _pointer(where: str, key: str) -> str:
    return f"{where}/{_shown(key).replace('~', '~0').replace('/', '~1')}"


def _shown(key: str) -> str:
    """A client's key, fit to be repeated in an answer."""
    return key[:60].encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")


def _bad(code: str, detail: str) -> Invalid:
    return Invalid([FieldProblem("", code, detail)], detail)
