"""Addresses that do not exist."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from itsm.api.views.base import ApiView
from itsm.kernel.errors import NotFound


@extend_schema(exclude=True)
class NowhereView(ApiView):
    """Answers 404 as a problem, whatever the method."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("There is no such address in this API. See /api/v1/docs/.")
