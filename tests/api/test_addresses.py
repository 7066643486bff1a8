"""Addresses of the API answer with and without their last slash."""

from __future__ import annotations

from tests.addresses import BARE, walk


def test_every_address_of_the_api_has_a_twin_without_a_slash() -> None:
    """A redirect would lose the body of a POST, so both are the same view."""
    api = {
        route: entry
        for route, entry in walk()
        if (entry.name or "").startswith("api-") and hasattr(entry.callback, "cls")
    }
    bare = {route: entry for route, entry in api.items() if entry.name.endswith(BARE)}
    whole = {route: entry for route, entry in api.items() if route.endswith("/")}
    assert len(whole) > 70
    assert {f"{route}/": (entry.name.removesuffix(BARE), entry.callback.cls) for route, entry in bare.items()} == {
        route: (entry.name, entry.callback.cls) for route, entry in whole.items()
    }
