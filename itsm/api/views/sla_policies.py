"""SLA policies over REST: what is promised, in which order it is asked, and why a ticket has the promise it has."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from itsm.access.decide import authorize
from itsm.api.concurrency import expected_version, tagged
from itsm.api.filters import bad_parameter, choice, yes_or_no
from itsm.api.pagination import PAGE_PARAMETERS, paginate
from itsm.api.queries import plain_id, ticket_id
from itsm.api.schema import PAGE_QUERY, operation, page_of, query
from itsm.api.views import sla_shapes as shapes
from itsm.api.views.base import ApiView
from itsm.api.views.sla_calendars import IN_USE, shown_version
from itsm.kernel.errors import Invalid, NotFound
from itsm.sla.commands import change_policy, create_policy, order_policies, update_policy
from itsm.sla.models import Metric, SlaPolicy, SlaPolicyVersion
from itsm.sla.preview import preview_policy
from itsm.sla.why import Asked, Match, explain_match
from itsm.tickets.fetch import read_ticket
from itsm.tickets.keyset import Sort

_COLUMNS = ("id", "name", "metric", "position", "is_active", "revision")
_VERSION = ("id", "version", "terms", "created_by_id", "created_by__name", "created_at")
_IN_ORDER = Sort("position", "position", kind=int)
_NEWEST = Sort("-version", "version", down=True, id_down=True, kind=int)
_TAG = shapes.TAG


class _Policies(ApiView):
    def find(self, key: str) -> SlaPolicy:
        authorize(self.actor, "sla.read")
        found: SlaPolicy | None = SlaPolicy.objects.filter(tenant_id=self.actor.tenant_id, pk=plain_id(key)).first()
        if found is None:
            raise NotFound
        return found

    def shown(self, pk: UUID, status: int = 200) -> Response:
        policy = self.find(str(pk))
        versions = SlaPolicyVersion.objects.filter(policy_id=pk).order_by("-version")
        body = {
            **{name: getattr(policy, name) for name in _COLUMNS},
            "newest": shown_version(versions.values(*_VERSION)[:1].get()),
        }
        return tagged(Response(body, status=status), policy.revision)


class PoliciesView(_Policies):
    """All policies, in the order in which they are asked; making one."""

    query_parameters = (*PAGE_PARAMETERS, "is_active", "metric")

    @operation("GET", "sla_policies_list", "List policies in their order", tag=_TAG, answer=page_of(shapes.PolicyOut),
               parameters=(*PAGE_QUERY, IN_USE,
                           query("metric", "", kind={"type": "string", "enum": Metric.values})))  # fmt: skip
    def get(self, request: Request) -> Response:
        authorize(self.actor, "sla.read")
        rows = SlaPolicy.objects.filter(tenant_id=self.actor.tenant_id)
        if "is_active" in self.given:
            rows = rows.filter(is_active=yes_or_no("is_active", self.given["is_active"]))
        if "metric" in self.given:
            rows = rows.filter(metric=choice("metric", self.given["metric"], {name: name for name in Metric.values}))
        page = paginate(request, rows, self.given, _IN_ORDER, lambda found: list(found.values(*_COLUMNS)))
        return page.response(page.rows)

    @operation("POST", "sla_policies_create", "Make a policy", tag=_TAG, body=shapes.NewPolicy,
               answer=shapes.PolicyDetailOut, status=201, tagged=True)  # fmt: skip
    def post(self, request: Request) -> Response:
        policy = create_policy(actor=self.actor, **self.body(shapes.NewPolicy))
        response = self.shown(policy.pk, 201)
        response["Location"] = f"{request.path.rstrip('/')}/{policy.pk}/"
        return response


class PolicyView(_Policies):
    """One policy."""

    @operation("GET", "sla_policies_get", "Read a policy", tag=_TAG, answer=shapes.PolicyDetailOut, tagged=True)
    def get(self, request: Request, key: str) -> Response:
        return self.shown(plain_id(key))

    @operation("PATCH", "sla_policies_update", "Rename it, or put it out of use: its open clocks leave it", tag=_TAG,
               body=shapes.PolicyChanges, answer=shapes.PolicyDetailOut, guarded=True, tagged=True)  # fmt: skip
    def patch(self, request: Request, key: str) -> Response:
        given = self.body(shapes.PolicyChanges)
        if "is_active" in given:
            given["active"] = given.pop("is_active")
        policy = self.find(key)
        update_policy(actor=self.actor, policy_id=policy.pk, expected_version=expected_version(request), **given)
        return self.shown(policy.pk)


class PolicyVersionsView(_Policies):
    """What a policy said and says."""

    query_parameters = PAGE_PARAMETERS

    @operation("GET", "sla_policies_versions", "List versions, newest first", tag=_TAG,
               answer=page_of(shapes.PolicyVersionOut), parameters=PAGE_QUERY)  # fmt: skip
    def get(self, request: Request, key: str) -> Response:
        rows = SlaPolicyVersion.objects.filter(policy_id=self.find(key).pk)
        page = paginate(request, rows, self.given, _NEWEST, lambda found: list(found.values(*_VERSION)))
        return page.response([shown_version(row) for row in page.rows])

    @operation("POST", "sla_policies_change", "Write the next version", tag=_TAG, body=shapes.NewPolicyVersion,
               answer=shapes.PolicyDetailOut, status=201, guarded=True, tagged=True)  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        given, policy = self.body(shapes.NewPolicyVersion), self.find(key)
        change_policy(actor=self.actor, policy_id=policy.pk, expected_version=expected_version(request), **given)
        return self.shown(policy.pk, 201)


class PolicyPreviewView(_Policies):
    """What would move if new terms of a policy were saved and applied; nothing is saved."""

    @operation("POST", "sla_policies_preview", "Try terms on the open clocks", tag=_TAG, body=shapes.TermsToTry,
               answer=shapes.PreviewOut)  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        given, policy = self.body(shapes.TermsToTry), self.find(key)
        return Response(shapes.shown_preview(preview_policy(self.actor, given["terms"], policy_id=policy.pk)))


class NewPolicyPreviewView(_Policies):
    """The same for a policy that there is not yet."""

    @operation("POST", "sla_policies_preview_new", "Try terms of a new policy", tag=_TAG, body=shapes.NewTermsToTry,
               answer=shapes.PreviewOut)  # fmt: skip
    def post(self, request: Request) -> Response:
        given = self.body(shapes.NewTermsToTry)
        return Response(shapes.shown_preview(preview_policy(self.actor, given["terms"], metric=given["metric"])))


class PolicyOrderView(_Policies):
    """In which order they are asked."""

    @operation("POST", "sla_policies_order", "Put the policies of a metric in order", tag=_TAG, body=shapes.PolicyOrder,
               answer=shapes.OrderOut)  # fmt: skip
    def post(self, request: Request) -> Response:
        given = self.body(shapes.PolicyOrder)
        order_policies(actor=self.actor, metric=given["metric"], policy_ids=given["policies"], apply=given["apply"])
        rows = SlaPolicy.objects.filter(tenant_id=self.actor.tenant_id, metric=given["metric"])
        return Response({"results": list(rows.order_by("position", "pk").values(*_COLUMNS))})


class WhyView(_Policies):
    """Why a ticket is promised what it is promised."""

    query_parameters = ("ticket",)

    @operation("GET", "sla_policies_why", "Which policies were asked for a ticket, and what each missed", tag=_TAG,
               answer=shapes.MatchesOut, parameters=(query("ticket", "Its id or number.", required=True),))  # fmt: skip
    def get(self, request: Request) -> Response:
        authorize(self.actor, "sla.read")
        try:
            ticket = read_ticket(self.actor, ticket_id(self.actor, "ticket", self.given.get("ticket", "")))
        except (Invalid, NotFound):
            raise bad_parameter(
                "ticket", "unknown_reference", "ticket must be the id or the number of a ticket that you can see."
            ) from None
        return Response({"results": [_match(found) for found in explain_match(self.actor, ticket)]})


def _match(found: Match) -> dict[str, Any]:
    holds = found.holds
    return {
        "metric": found.metric,
        "holds": None if holds is None else {"id": holds.policy_id, "name": holds.name},
        "promise": "" if holds is None else holds.promise,
        "calendar": found.calendar,
        "calendar_source": found.calendar_source,
        "asked": [_asked(one) for one in found.asked],
        "not_asked": list(found.not_asked),
    }


def _asked(one: Asked) -> dict[str, Any]:
    return {
        "policy": {"id": one.policy_id, "name": one.name},
        "version": one.version,
        "target": one.target,
        "promise": one.promise,
        "misses": [
            [{"condition": m.condition, "wanted": list(m.wanted), "found": list(m.found)} for m in misses]
            for misses in one.misses
        ],
    }


#: Address → view. Words come before ids.
POLICIES: dict[str, type[ApiView]] = {
    "sla-policies": PoliciesView,
    "sla-policies/order": PolicyOrderView,
    "sla-policies/preview": NewPolicyPreviewView,
    "sla-policies/why": WhyView,
    "sla-policies/<str:key>": PolicyView,
    "sla-policies/<str:key>/versions": PolicyVersionsView,
    "sla-policies/<str:key>/preview": PolicyPreviewView,
}
