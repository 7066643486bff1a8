from __future__ import annotations

import pytest

from itsm.oncall.models import OnCallSchedule
from tests.factories import Desk
from tests.oncall.schedules import make_schedule


@pytest.fixture
def schedule(acme: Desk) -> OnCallSchedule:
    """acme's schedule "Network": see make_schedule()."""
    return make_schedule(acme)
