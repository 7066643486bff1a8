"""The browser of the web's tests."""

from __future__ import annotations

from tests.web.conftest import browser

__all__ = ["browser"]
