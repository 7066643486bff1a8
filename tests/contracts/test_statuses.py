"""Which status a refusal becomes, whatever happens to be imported, and what is said when no command has worded it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import RequestFactory

from itsm.web import errors

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import json
import django
django.setup()
from itsm.doors.problems import STATUS
print(json.dumps({kind.__name__: status for kind, status in STATUS.items()}))
"""


def test_all_statuses_are_known_once_the_apps_are_ready() -> None:
    ran = subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == {
        "AnswerRemoved": 409,
        "Conflict": 412,
        "Forbidden": 403,
        "IllegalTransition": 409,
        "InFlight": 409,
        "Invalid": 400,
        "KeyReused": 422,
        "NotFound": 404,
        "PolicyViolation": 422,
        "PreconditionRequired": 428,
        "RightsChanged": 409,
        "TooLarge": 413,
        "TooManyCauses": 409,
        "TooManyRequests": 429,
    }


@pytest.mark.parametrize(
    ("handler", "status", "code", "detail"),
    [
        (
            errors.bad_request,
            400,
            "bad_request",
            "The request cannot be read. Check its address, its headers and its body.",
        ),
        (errors.forbidden, 403, "forbidden", "You may not do this."),
        (errors.not_found, 404, "not_found", "There is no such object, or you may not see it."),
    ],
)
def test_django_refuses_in_sentences(handler: Any, status: int, code: str, detail: str) -> None:
    request = RequestFactory().get("/api/v1/incidents/")
    answer = handler(request, ValueError())
    problem = orjson.loads(answer.content)
    assert (answer.status_code, problem["code"], problem["detail"]) == (status, code, detail)
    broken = orjson.loads(errors.broken(request).content)
    assert broken["detail"] == "Something went wrong on our side. Quote the request_id."
