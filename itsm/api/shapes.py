"""Shapes of request bodies. They check form only (which fields, which types); rules are the commands'."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from itsm.api.filters import instant
from itsm.kernel.errors import Invalid
from itsm.kernel.ids import is_uuid
from itsm.kernel.texts import BODY_MAX


class Shape(serializers.Serializer[Any]):
    """A body whose fields are exactly the declared ones: an unknown field is an error, not a silence."""

    #: Fields that people try to send and what to do instead.
    remedies: ClassVar[Mapping[str, str]] = {}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = {str(name) for name in data} - set(self.fields)
            if unknown:
                known = ", ".join(self.fields) or "none"
                raise serializers.ValidationError(
                    {
                        name[:60]: serializers.ErrorDetail(
                            self.remedies.get(name, f"Unknown field. Known here: {known}."), code="unknown_field"
                        )
                        for name in sorted(unknown)[:20]
                    }
                )
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """A string and nothing that could be read as one. Trimming and emptiness are the command's business."""

    default_error_messages = {"invalid": "Send a string."}  # noqa: RUF012

    def __init__(self, *, max_length: int = BODY_MAX, **kwargs: Any) -> None:
        kwargs.setdefault("allow_blank", not kwargs.get("required", True))
        super().__init__(max_length=max_length, trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class Whole(serializers.IntegerField):
    """A JSON number without a fraction."""

    default_error_messages = {"invalid": "Send a whole number."}  # noqa: RUF012

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, float) and data.is_integer():
            data = int(data)
        if type(data) is not int:
            self.fail("invalid")
        return int(data)


class Reference(serializers.UUIDField):
    """The id of another object."""

    default_error_messages = {"invalid": "Send an id such as 0190c2a1-7f3e-7c11-8d2a-5b1f0a9c3e44."}  # noqa: RUF012

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not is_uuid(data):
            self.fail("invalid", value="")
        return UUID(data)


class OneOf(serializers.ChoiceField):
    """One of the listed words; the error lists them."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.choices:
            raise serializers.ValidationError(
                f"Send one of {', '.join(str(choice) for choice in self.choices)}.", code="unknown_value"
            )
        return data


class When(serializers.DateTimeField):
    """An RFC 3339 time with its zone."""

    def to_internal_value(self, value: Any) -> Any:
        try:
            return instant("time", value if isinstance(value, str) else "")
        except Invalid:
            raise serializers.ValidationError(
                "Send an RFC 3339 time such as 2026-03-01T09:30:00Z.", code="not_a_time"
            ) from None


class Day(serializers.DateField):
    """A date."""

    def to_internal_value(self, value: Any) -> Any:
        try:
            found = date.fromisoformat(value if isinstance(value, str) else "")
            if found.isoformat() != value:
                raise ValueError
        except ValueError:
            raise serializers.ValidationError("Send a date such as 2026-12-24.", code="not_a_date") from None
        return found


@extend_schema_field({"type": "object", "additionalProperties": True})
class Whatever(serializers.JSONField):
    """A JSON object that the command reads and judges: its refusals point into it."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Send a JSON object.", code="not_an_object")
        return data


class Nothing(Shape):
    """An empty body: ``{}`` or none at all."""


class Outgoing(serializers.Serializer[Any]):
    """Describes an answer in the OpenAPI document. Answers themselves are written field by field, not by serializers."""


class Named(Outgoing):
    """An object by id and name."""

    id = serializers.UUIDField()
    name = serializers.CharField()
