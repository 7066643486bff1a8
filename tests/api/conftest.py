from __future__ import annotations

import pytest

from tests.api.caller import Caller
from tests.factories import Desk


@pytest.fixture
def agent(acme: Desk) -> Caller:
    return Caller(acme, "agent")


@pytest.fixture
def requester(acme: Desk) -> Caller:
    return Caller(acme, "requester")
