"""What nobody should send and somebody will: the corpus of hostile values, as data. What drives it stands beside it.

``UNKNOWN`` and ``FOREIGN`` are stand-ins: a test puts an id that nobody has, and one of another tenant, in their place.
"""

from __future__ import annotations

import os

#: Of the slow runs: each ``[1]``-th request, from ``[0]`` on. VIABLE_CORPUS=1 sends all of them (an hour).
PART = (0, int(os.environ.get("VIABLE_CORPUS", "11")))

UNKNOWN, FOREIGN = "<unknown>", "<foreign>"

#: Text that is allowed where text is: it must come back as it went in, and never be taken for anything but text.
TEXTS: dict[str, str] = {
    "right to left": "abc \u202egnp.exe\u202c \u200f\u061c",
    "joined and combined": "e\u0301\u200d\U0001f469\u200d\U0001f52c " + "\u0301" * 60,
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&lt;",
    "template": "{{ request.user }} {% debug %} ${7*7} #{7*7}",
    "sql": "'; DROP TABLE tickets_ticket; --",
    "format": "%s %n %(x)s {0} {0.__class__}",
    "formula": "=cmd|' /C calc'!A0",
    "path": "../../../etc/passwd",
    "byte order mark": "\ufeffx\ufffe\uffff",
    "number": "9" * 150,
    "line separators": "a\u2028b\u2029c\u0085d",
}

#: JSON texts that are no text, no number and no list that any field wants.
JSON: dict[str, str] = {
    "null": "null",
    "true": "true",
    "minus one": "-1",
    "fraction": "1.5",
    "huge number": "1" + "0" * 40,
    "number past a double": "1e999",
    "five thousand digits": "9" * 5000,
    "not a number": "NaN",
    "infinite": "-Infinity",
    "empty": '""',
    "blanks": '" \\t "',
    "nul": '"a\\u0000b"',
    "half a pair": '"\\ud800"',
    "bad utf-8": '"\udcff\udcfe"',
    "list": "[]",
    "list of lists": '[["x"]]',
    "object": '{"$ne": 1}',
    "prototype": '{"__proto__": {"x": 1}, "constructor": 1}',
    "deep": "[" * 40 + "]" * 40,
    "megabyte": '"' + "x" * 1_000_000 + '"',
    "header": '"a\\r\\nSet-Cookie: x=1"',
    "id of nobody": f'"{UNKNOWN}"',
    "id of another tenant": f'"{FOREIGN}"',
    "almost an id": '"0190c2a1-7f3e-7c11-8d2a-5b1f0a9c3e4"',
    "id in braces": '"{0190c2a1-7f3e-7c11-8d2a-5b1f0a9c3e44}"',
}

#: Whole bodies.
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "blank": b" \n ",
    "text": b"nonsense",
    "half": b'{"a": ',
    "two": b"{}{}",
    "list": b"[]",
    "list of bodies": b"[{}]",
    "null": b"null",
    "number": b"1",
    "bad utf-8": b'{"a": "\xff"}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "deep": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "very deep": b"[" * 200_000,
    "nul": b'{"a\\u0000": 1}',
    "half a pair": b'{"\\udfff": 1}',
    "many keys": b"{" + b",".join(b'"k%d": 1' % n for n in range(20_000)) + b"}",
    "long key": b'{"' + b"k" * 500_000 + b'": 1}',
    "too large": b'{"a": "' + b"x" * 2_100_000 + b'"}',
    "comment": b"{} // no",
    "single quotes": b"{'a': 1}",
}

#: Query strings' values, percent-encoded where they must be.
QUERIES: dict[str, str] = {
    "empty": "",
    "blank": "%20",
    "nul": "%00",
    "bad utf-8": "%ff%fe",
    "half a pair": "%ed%a0%80",
    "broken escape": "%zz%",
    "minus": "-1",
    "zero": "0",
    "giant": "9" * 1900,
    "giant page": "1000000000",
    "exponent": "1e9",
    "other digits": "%D9%A3",
    "header": "x%0d%0aSet-Cookie:%20x=1",
    "html": "%3Cscript%3E",
    "sql": "1'%20OR%201=1--",
    "path": "../../etc/passwd",
    "long": "x" * 10_000,
    "many": ",".join(["none"] * 500),
    "commas": ",,,",
    "right to left": "%E2%80%AE",
    "not a time": "2026-13-45T99:99:99Z",
    "first year": "0001-01-01T00:00:00%2B14:00",
    "last year": "9999-12-31T23:59:59-14:00",
    "unknown": UNKNOWN,
    "foreign": FOREIGN,
    "cursor": "eyJhIjoxfQ",
}

#: Headers, as name and value; a server hands them on as Latin-1.
HEADERS: dict[str, tuple[str, str]] = {
    "no quotes": ("If-Match", "1"),
    "weak": ("If-Match", 'W/"1"'),
    "list": ("If-Match", '"1", "2"'),
    "empty tag": ("If-Match", ""),
    "giant tag": ("If-Match", '"' + "9" * 5000 + '"'),
    "negative tag": ("If-Match", '"-1"'),
    "stale tag": ("If-Match", '"0"'),
    "future tag": ("If-Match", '"9999999999"'),
    "other digits": ("If-Match", '"\xb2"'),
    "empty key": ("Idempotency-Key", ""),
    "blank key": ("Idempotency-Key", "a b"),
    "long key": ("Idempotency-Key", "x" * 256),
    "foreign letters in the key": ("Idempotency-Key", "\xfc\xff"),
    "control character in the key": ("Idempotency-Key", "a\x7f"),
    "accept xml": ("Accept", "text/xml"),
    "accept nonsense": ("Accept", "*/*;q=nonsense, ;;,"),
    "accept much": ("Accept", "a/b;c=d," * 500),
    "language nonsense": ("Accept-Language", "xx-" * 400 + ";q=9"),
    "languages": ("Accept-Language", "de;q=NaN, \xff, *;q=0"),
    "cookies": ("Cookie", "sessionid=\x01\xff; csrftoken=" + "x" * 5000 + "; =; django_language=../../x"),
    "request id": ("X-Request-ID", "a\r\nSet-Cookie: x=1"),
    "traced": ("traceparent", "00-nonsense-\xff-99"),
    "host": ("X-Forwarded-Host", "evil.example"),
    "proxy": ("X-Forwarded-For", "1.2.3.4, \xff, ::nonsense, " + "9" * 4000),
    "method": ("X-HTTP-Method-Override", "DELETE"),
    "range": ("Range", "bytes=-9999999999999,5-1,x"),
    "date": ("If-Modified-Since", "Sat, 99 Foo 99999 99:99:99 GMT"),
    "none match": ("If-None-Match", '"\xff", *, W/'),
}

#: What a body claims to be.
CONTENT_TYPES: dict[str, str] = {
    "none": "",
    "text": "text/plain",
    "xml": "application/xml",
    "form": "application/x-www-form-urlencoded",
    "multipart without boundary": "multipart/form-data",
    "multipart with a bad boundary": "multipart/form-data; boundary=\xff\x01",
    "multipart with a long boundary": "multipart/form-data; boundary=" + "b" * 5000,
    "utf-16": "application/json; charset=utf-16",
    "no such charset": "application/json; charset=nonsense",
    "parameters": "application/json" + "; a=b" * 1000,
    "two": "application/json, text/plain",
    "nonsense": "///;;;",
    "long": "x" * 8000,
    "star": "*/*",
}

#: Last parts of addresses, percent-encoded.
KEYS: dict[str, str] = {
    "nul": "%00",
    "bad utf-8": "%ff",
    "half a pair": "%ed%a0%80",
    "path": "..%2f..%2fetc",
    "header": "a%0d%0aSet-Cookie:x=1",
    "sql": "INC'--",
    "letters": "%C3%A9",
    "long": "0" * 3000,
    "other digits": "INC%D9%A3",
    "number": "INC0999999",
    "giant number": "INC" + "9" * 40,
    "semicolon": "a;b=c",
    "unknown": UNKNOWN,
    "foreign": FOREIGN,
}

#: Names of files, as they are sent.
FILENAMES: dict[str, str] = {
    "path": "../../../etc/cron.d/x.txt",
    "windows path": "C:\\Windows\\system32\\x.txt",
    "header": "a\r\nSet-Cookie: x=1\r\n.txt",
    "quote": 'a"; filename="evil.html',
    "nul": "a\x00.txt",
    "right to left": "a\u202etxt.exe\u202c.txt",
    "dots": "....",
    "dot": ".",
    "empty": "",
    "blanks": "   ",
    "long": "x" * 3000 + ".txt",
    "long in bytes": "\U0001f525" * 120 + ".txt",
    "device": "CON.txt",
    "html": "<img src=x onerror=alert(1)>.txt",
    "percent": "%2e%2e%2fx.txt",
    "star": "UTF-8''a.txt",
}

#: Where a page might be talked into sending its reader.
NEXT: tuple[str, ...] = (
    "//evil.example/",
    "///evil.example",
    "https://evil.example/",
    "https:evil.example",
    "http:///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    " //evil.example",
    "/%0d%0aSet-Cookie:x=1",
    "/\r\nSet-Cookie: x=1",
    "\x00//evil.example",
    "/\ud800",
    "http://testserver@evil.example/",
    "http://testserver.evil.example/",
    "/" + "x" * 9000,
    "[::1",
    "http://[",
)

#: What a field of a form is sent as, in bytes before they are percent-encoded.
FORM: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b" \t ",
    "nul": b"a\x00b",
    "bad utf-8": b"a\xff\xfe",
    "half a pair": b"\xed\xa0\x80",
    "line break": b"a\r\nSet-Cookie: x=1",
    "right to left": "a\u202eb".encode(),
    "html": b"\"'><script>alert(1)</script>",
    "template": b"{{ request.user }}{% debug %}",
    "megabyte": b"x" * 1_000_000,
    "giant number": b"9" * 5000,
    "number past the column": b"99999999999999999999",
    "minus": b"-1",
    "exponent": b"1e5",
    "other digits": "\u0663".encode(),
    "not a number": b"NaN",
    "id of nobody": UNKNOWN.encode(),
    "id of another tenant": FOREIGN.encode(),
    "path": b"../../etc/passwd",
    "last day": b"9999-12-31",
    "no day": b"2026-02-30",
}
