"""Signed-in browsers for each person of a desk."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests.factories import Desk

Browser = Callable[..., Client]


@pytest.fixture
def browser(acme: Desk) -> Browser:
    """``browser("agent")``: a client in which acme's agent is signed in."""

    def sign_in(name: str, desk: Desk = acme, *, csrf: bool = False) -> Client:
        client = Client(enforce_csrf_checks=csrf)
        client.force_login(desk.users[name])
        return client

    return sign_in
