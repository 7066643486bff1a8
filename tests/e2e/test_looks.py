"""Every page in every look: no WCAG 2.2 A or AA violation that axe can find, nothing stopped by the policy, no side scroll.

The admin (/t/…/admin/) is left out: it is Django's own, for configuration, and we do not promise AA for it (its inline
tables have unlabelled inputs, its lists small targets). So is the API's document viewer, which is Swagger's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.urls import URLResolver, get_resolver

from incidents.commands import attach_children, declare_major, resolve_incident, review_major, send_major_update
from incidents.commands.major_review import Action
from itsm.escalation.commands import start_escalation
from itsm.escalation.models import EscalationPolicy
from itsm.escalation.provision import NAME
from itsm.events.relay import relay
from itsm.kernel import clock
from itsm.notify.addresses import path as address_of
from itsm.notify.links import sign
from itsm.notify.models import Notification
from tests.e2e.conftest import PASSWORD, Site
from tests.escalation.chains import tick

pytestmark = pytest.mark.slow

AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 390, "height": 844}},
    "right to left": {"locale": "ar"},
}
#: What each route shows, as paths; ``{incident}`` is one with a story, ``{base}`` the tenant.
PAGES: dict[str, list[str]] = {
    "": ["/?choose"],
    "queue/": ["{base}/queue/", "{base}/queue/?view=mine", "{base}/queue/?priority=0", "{base}/queue/?open={number}"],
    "sla/<number:number>/": ["{base}/sla/{number}/"],
    "profile/": ["{base}/profile/"],
    "profile/notifications/": ["{base}/profile/notifications/"],
    "notification-defaults/": ["{base}/notification-defaults/"],
    "message-preview/": ["{base}/message-preview/"],
    "inbox/": ["{base}/inbox/", "{base}/inbox/?unread"],
    "acknowledge/<str:token>/": ["/acknowledge/x/"],
    "oncall/": ["{base}/oncall/"],
    "oncall/calendars/": ["{base}/oncall/calendars/"],
    "oncall/<uuid:schedule_id>/": ["{schedule}"],
    "oncall/<uuid:schedule_id>/import/": ["{schedule}import/"],
    "tokens/": ["{base}/tokens/"],
    "incidents/new/": ["{base}/incidents/new/"],
    "incidents/mine/": ["{base}/incidents/mine/"],
    "incidents/major/": ["{base}/incidents/major/"],
    "incidents/<number:number>/": ["{incident}", "{escalating}", "{overdue}", "{reviewed}"],
    "reports/incidents/": ["{base}/reports/incidents/", "{base}/reports/incidents/?from=x"],
    "reports/service-levels/": [
        "{base}/reports/service-levels/",
        "{base}/reports/service-levels/?from=2020-01-01&to=2020-01-31",
        "{base}/reports/service-levels/?by=x",
    ],
    "accounts/login/": [],  # before signing in
    "accounts/invitation/<uidb64>/<token>/": ["/accounts/invitation/x/y-z/"],
    "accounts/password/": ["/accounts/password/"],
    "accounts/password/reset/done/": ["/accounts/password/reset/done/"],
    "accounts/password/reset/key/done/": ["/accounts/password/reset/key/done/"],
    "accounts/password/reset/key/^(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": ["/accounts/password/reset/key/1-x/"],
    "accounts/inactive/": ["/accounts/inactive/"],
    "accounts/reauthenticate/": ["/accounts/reauthenticate/"],
    "accounts/2fa/": ["/accounts/2fa/"],
    # Asks for the password first; the test gives it when it comes here.
    "accounts/2fa/totp/activate/": ["/accounts/2fa/totp/activate/"],
    # Only for somebody who has the second step: test_the_second_steps_pages_hold.
    "accounts/2fa/authenticate/": [],
    "accounts/2fa/reauthenticate/": [],
    "accounts/2fa/recovery-codes/": [],
    "accounts/2fa/recovery-codes/generate/": [],
    "accounts/2fa/totp/deactivate/": [],
    "nowhere": ["{base}/nowhere/"],
}
#: What a page must show to be looked at for; without it the look at it says nothing.
SHOWS = {
    "{escalating}": "section[aria-labelledby=escalations] ol li",
    "{overdue}": ".leading .note.warning li",
    "{reviewed}": ".banner.over",
    "{base}/incidents/major/": ".majors .chip.late",
}
#: Answers that are no page of ours: files, redirects, forms that only receive, other people's pages.
NOT_PAGES = frozenset(
    {
        "metrics",  # for machines
        "accounts/logout/",
        "accounts/password/set/",  # for accounts without a password, which have no way in
        "accounts/password/reset/",  # there is none without a mail server; its form is that of the others
        "queue/layout/",
        "queue.csv",
        "accounts/2fa/recovery-codes/download/",
        "incidents/<number:number>/<slug:name>/",
        "incidents/<number:number>/files/<uuid:file_id>/",
        "reports/incidents.csv",
        "reports/service-levels.csv",
        "tokens/<uuid:token_id>/revoke/",
        "escalation/<number:number>/acknowledge/",
        "escalation/<number:number>/start/",
        "inbox/read/",
        "inbox/<uuid:notification_id>/",
        "oncall/calendars/<uuid:feed_id>/revoke/",
        "oncall/feeds/<slug:secret>.ics",
        "oncall/<uuid:schedule_id>/overrides/<uuid:override_id>/remove/",
    }
)
_FACTS = """() => ({
    wide: Math.max(0, document.documentElement.scrollWidth - window.innerWidth),
    dir: document.documentElement.dir,
    h1: document.querySelectorAll('h1').length,
    main: document.querySelectorAll('main').length,
    ids: [...document.querySelectorAll('[id]')].map(e => e.id).filter((id, n, all) => all.indexOf(id) !== n),
})"""


@dataclass(frozen=True, slots=True)
class Stories:
    """Where tickets stand that take more than clicks: addresses by the name that PAGES gives them."""

    #: A P1 whose escalation runs and has told somebody; the link that somebody got.
    escalating: str
    acknowledge: str
    #: A major incident that owes news, with people whom updates do not reach; one that was reviewed, with an action.
    overdue: str
    reviewed: str


# Before the browser: while Playwright runs, Django refuses the database to this thread.
@pytest.fixture(scope="module", autouse=True)
def stories(site: Site) -> Stories:
    """Told by commands and one round of the sweeper."""
    desk = site.desk
    manager, agent = desk.actor("manager"), desk.people["agent"].pk
    called = desk.incident("manager", impact=1, urgency=1, title="It calls", team_id=desk.teams["network"].pk)
    with desk.inside():
        standing = EscalationPolicy.objects.get(name=NAME)
    start_escalation(actor=manager, ticket_id=called.pk, policy_id=standing.pk)
    tick(clock.now() + timedelta(seconds=20))
    relay(desk.tenant.pk)
    with desk.inside():
        page = Notification.objects.get(topic="escalation", ticket_id=called.pk)
    with clock.at(clock.now() - timedelta(hours=3)):
        late = desk.incident(title="It is led", impact=1, urgency=1)
        declare_major(
            actor=manager,
            ticket_id=late.pk,
            reason="All shops are offline.",
            commander_id=agent,
            roles={"Communications lead": agent},
            stakeholder_ids=[desk.people["other_manager"].pk, desk.people["auditor"].pk],
        )
        send_major_update(actor=manager, ticket_id=late.pk, body="We **look** at it.")
        attach_children(actor=manager, ticket_id=late.pk, child_ids=[desk.incident(title="So is this").pk])
        done = desk.incident(title="It was led")
        declare_major(actor=manager, ticket_id=done.pk, reason="x", commander_id=agent)
        resolve_incident(actor=manager, ticket_id=done.pk, close_code="known_error", close_notes="x")
        action = Action("Buy a spare switch", agent, date(2100, 1, 31))
        texts = {"went_well": "Quick.", "went_badly": "No spare.", "causes": "Old switch."}
        review_major(actor=manager, ticket_id=done.pk, **texts, actions=[action])
    of = f"{site.address}{desk.prefix}/incidents"
    return Stories(
        f"{of}/{called.number}/", address_of("acknowledge", sign(page)), f"{of}/{late.number}/", f"{of}/{done.number}/"
    )


def _routes() -> Iterator[str]:
    def walk(resolver: Any, prefix: str) -> Iterator[str]:
        for entry in resolver.url_patterns:
            here = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                yield from walk(entry, here)
            else:
                yield here

    return (route for route in walk(get_resolver(), "") if not route.startswith(("api/", "admin/", "healthz/")))


def test_no_page_is_forgotten() -> None:
    assert set(_routes()) - NOT_PAGES == set(PAGES) - {"nowhere"}


def faults(page: Any) -> list[str]:
    """What axe finds on the page as it is: rule, element, reason."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    options = {"runOnly": {"type": "tag", "values": AA}, "resultTypes": ["violations"]}
    found = axe.Axe().run(page, options=options).response["violations"]
    return [
        f"{page.url} {v['id']}: {node['html'][:200]} {node['failureSummary']}" for v in found for node in v["nodes"]
    ]


def test_the_watchers_see_what_is_wrong(site: Site, chromium: Any) -> None:
    page = site.open(chromium)
    page.goto(f"{site.address}/accounts/login/")
    page.evaluate(
        """() => {
            document.body.append(document.createElement('img'));
            const script = document.createElement('script');
            script.textContent = 'document.title = "run"';
            document.body.append(script);
        }"""
    )
    assert [fault.split()[1] for fault in faults(page)] == ["image-alt:"]
    assert ["script-src" in one or "default-src" in one for one in site.violations] == [True]
    assert page.title() != "run"
    site.violations.clear()
    site.complaints.clear()


def looked_at(page: Any, look: str) -> list[str]:
    """Faults of the page; its shape (nothing wider than the screen, one heading, ids once) is asserted."""
    facts = page.evaluate(_FACTS)
    expected = {"wide": 0, "dir": "rtl" if look == "right to left" else "ltr", "h1": 1, "main": 1, "ids": []}
    assert (page.url, facts) == (page.url, expected)
    return faults(page)


@pytest.mark.parametrize(
    ("look", "who"), list(zip(LOOKS, ("agent", "owner", "admin", "auditor"), strict=True)), ids=LOOKS
)
def test_the_second_steps_pages_hold(site: Site, chromium: Any, look: str, who: str) -> None:
    """Each look has a person of its own, because the second step stays on once it is."""
    page = site.sign_in(chromium, who, **LOOKS[look])
    second = f"{site.address}/accounts/2fa"
    page.goto(f"{second}/totp/activate/")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main form button.primary").click()
    secret = page.locator("main p code").inner_text()
    page.locator("input[name=code]").fill(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
    page.locator("main form button.primary").click()
    page.wait_for_url("**/recovery-codes/")
    found = looked_at(page, look)
    for path in ("/recovery-codes/generate/", "/totp/deactivate/", "/reauthenticate/", "/"):
        page.goto(second + path)
        found += looked_at(page, look)
    again = site.open(chromium, **LOOKS[look])
    again.goto(f"{site.address}/accounts/login/")
    again.locator("input[name=login]").fill(f"{who}@acme.example")
    again.locator("input[name=password]").fill(PASSWORD)
    again.locator("main button").click()
    again.wait_for_url("**/2fa/authenticate/")
    found += looked_at(again, look)
    again.locator("input[name=code]").fill("000000")
    again.locator("main form button.primary").click()
    again.locator(".errorlist").wait_for()
    found += looked_at(again, look)
    assert found == [], "\n".join(found)
    assert site.violations == []


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_holds(site: Site, chromium: Any, stories: Stories, look: str) -> None:
    visitor = site.open(chromium, **LOOKS[look])
    visitor.goto(f"{site.address}/accounts/login/")
    found = faults(visitor)
    # Whoever has the link need not sign in. The page speaks the language of its reader, whatever the browser asks for.
    visitor.goto(site.address + stories.acknowledge)
    visitor.locator("main form button.primary").wait_for()
    found += faults(visitor)
    assert visitor.evaluate(_FACTS)["wide"] == 0
    page = site.sign_in(chromium, "manager", **LOOKS[look])
    base = f"{site.address}/t/acme"
    page.goto(f"{base}/incidents/new/")
    page.locator("#id_title").fill(f"{look}: " + "Averylongwordwithoutanyblank" * 6)
    page.locator("main form button.primary").click()
    page.wait_for_url("**/incidents/INC*/")
    incident = page.url
    page.locator("form[action$='/take/'] button").click()
    page.locator("textarea[name=body]").fill("`code` and **bold**")
    page.locator("form[action$='/comment/'] button").click()
    page.locator("details:has(form[action$='/declare-major/']) > summary").click()
    page.locator("#declare-major_reason").fill("It stops the business.")
    page.locator("form[action$='/declare-major/'] button").click()
    page.locator(".banner").wait_for()
    page.goto(f"{base}/oncall/")
    page.locator(".board h2 a").first.click()
    page.wait_for_url("**/oncall/*-*/")
    schedule = page.url
    number = incident.rstrip("/").rsplit("/", 1)[1]
    for path in (path for paths in PAGES.values() for path in paths):
        address = path.format(base=base, incident=incident, number=number, schedule=schedule, **asdict(stories))
        page.goto(address if address.startswith("http") else site.address + address)
        if "/2fa/totp/activate/" in address:
            page.locator("input[name=password]").fill(PASSWORD)
            page.locator("main form button.primary").click()
            page.locator(".qr svg").wait_for()
        page.evaluate("() => document.querySelectorAll('main details').forEach(one => { one.open = true; })")
        found += looked_at(page, look)
        if path in SHOWS:
            assert page.locator(SHOWS[path]).count() > 0, page.locator("main").inner_text()
    page.goto(f"{base}/queue/")
    page.keyboard.press("?")
    page.locator("#keys").wait_for()
    found += faults(page)
    page.keyboard.press("Escape")
    page.reload()
    assert found == [], "\n".join(found)
    assert site.violations == []
    page.keyboard.press("Tab")
    assert "skip" in page.evaluate("() => document.activeElement.className")
