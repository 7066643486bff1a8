"""Which status a refusal becomes does not depend on what happens to be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
