"""What happens at the demo's desks: the people, the teams, and incidents as small stories with their dialogue.

A story is data; seed.py tells it by running commands over a virtual clock. ``{site}`` and ``{device}`` vary per telling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that somebody does, ``after`` minutes from the step before. ``text`` is what he or she writes."""

    after: int
    who: str
    verb: str
    text: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """An incident from its report to wherever it stands today."""

    title: str
    description: str
    service: str
    category: str
    team: str
    impact: int
    urgency: int
    steps: tuple[Step, ...]
    channel: str = "portal"


@dataclass(frozen=True, slots=True)
class Company:
    """A tenant of the demo."""

    slug: str
    name: str
    domain: str
    time_zone: str
    language: str
    sites: tuple[str, ...]
    devices: tuple[str, ...]
    requesters: tuple[str, ...]
    agents: tuple[tuple[str, str], ...]  # name, team
    organisations: tuple[str, ...]


TEAMS: Final = (
    ("Service Desk", "First contact for everybody", False),
    ("Network", "LAN, Wi-Fi, VPN, telephony", False),
    ("Workplace", "Laptops, printers, mobile devices", False),
    ("Applications", "ERP, CRM, collaboration", False),
    ("People & HR", "Confidential: personnel matters", True),
)
SERVICES: Final = (
    ("E-mail and calendar", "Mailboxes, shared calendars, distribution lists"),
    ("Network access", "Office LAN, Wi-Fi and VPN"),
    ("Workplace", "Laptop, phone, printer, meeting-room equipment"),
    ("ERP", "Orders, stock, finance"),
    ("Identity", "Accounts, passwords, second factors"),
    ("HR self service", "Leave, payslips, personal data"),
)
CATEGORIES: Final = (
    ("Network", ("Wi-Fi", "VPN", "LAN")),
    ("Hardware", ("Laptop", "Printer", "Phone", "Meeting room")),
    ("Software", ("E-mail", "ERP", "Browser", "Office")),
    ("Access", ("Password", "Permissions", "Second factor")),
)

COMPANIES: Final = (
    Company(
        slug="acme",
        name="Acme Logistics",
        domain="acme.example",
        time_zone="Europe/Berlin",
        language="en",
        sites=("Hamburg", "Leipzig", "Rotterdam", "Gdańsk"),
        devices=("LT-2041", "LT-1187", "LT-3302", "LT-0926", "LT-4415"),
        requesters=(
            "Fatima Zahra",
            "Jonas Weber",
            "Chloé Martin",
            "Piotr Nowak",
            "Linh Trần",
            "Mateo García",
            "Aisha Bello",
        ),
        agents=(
            ("Greta Lind", "Service Desk"),
            ("Ben Okafor", "Network"),
            ("Dana Novák", "Workplace"),
            ("Hugo Alves", "Applications"),
            ("Ines Falk", "People & HR"),
        ),
        organisations=("Warehousing", "Finance", "Customer Care"),
    ),
    Company(
        slug="globex",
        name="Globex Health",
        domain="globex.example",
        time_zone="America/Toronto",
        language="en",
        sites=("Toronto", "Ottawa", "Montréal"),
        devices=("WS-118", "WS-204", "WS-377", "CART-09", "CART-14"),
        requesters=("Olivia Tremblay", "Noah Singh", "Emma Roy", "Liam O’Brien", "Yuki Tanaka", "Sofía Ramírez"),
        agents=(
            ("Amira Haddad", "Service Desk"),
            ("Chen Li", "Network"),
            ("Eero Virtanen", "Workplace"),
            ("Ruth Adeyemi", "Applications"),
            ("Paul Girard", "People & HR"),
        ),
        organisations=("Wards", "Laboratory", "Administration"),
    ),
)

STORIES: Final = (
    Story(
        "VPN drops every few minutes at {site}",
        "Since this morning the VPN disconnects after five to ten minutes. I have to sign in again each time.\n\n"
        "1. Connect\n2. Open the ERP\n3. Wait",
        "Network access",
        "VPN",
        "Network",
        2,
        1,
        (
            Step(12, "agent", "take"),
            Step(9, "agent", "hold", "Which client version do you have? You find it under *Help → About*."),
            Step(95, "requester", "reply", "It says **5.8.1**. The connection stays up on my phone’s hotspot."),
            Step(
                20,
                "agent",
                "note",
                "Same as last week in the other office: UDP loses keep-alives behind the new firewall.",
            ),
            Step(45, "agent", "resolve", "Switched the profile to TCP; stable for 30 minutes.", "workaround_provided"),
        ),
    ),
    Story(
        "Cannot print to the warehouse printer",
        "Labels stay in the queue. The display of the printer shows *ready*.",
        "Workplace",
        "Printer",
        "Workplace",
        2,
        2,
        (
            Step(18, "agent", "take"),
            Step(30, "agent", "reply", "I restarted the print server. Please send one label again."),
            Step(22, "requester", "reply", "Works again, thank you!"),
            Step(4, "agent", "resolve", "Print server restarted; driver update planned.", "solution_provided"),
            Step(60, "requester", "close"),
        ),
        "phone",
    ),
    Story(
        "New starter on Monday: account missing",
        "Our new colleague starts on Monday in {site}. There is no account yet and no laptop was announced.",
        "Identity",
        "Permissions",
        "Service Desk",
        3,
        2,
        (
            Step(40, "agent", "take"),
            Step(25, "agent", "reply", "The account is ready, the laptop {device} will be at the reception."),
            Step(2, "agent", "resolve", "Account created, laptop prepared.", "resolved_by_request"),
        ),
    ),
    Story(
        "ERP: stock booking fails with error 4711",
        "Every booking for the {site} warehouse ends with *error 4711: lock held*. We cannot ship.",
        "ERP",
        "ERP",
        "Applications",
        1,
        1,
        (
            Step(4, "agent", "take"),
            Step(6, "agent", "note", "Batch job of last night still holds the lock. @Hugo can you confirm?"),
            Step(15, "agent", "reply", "We have found the cause and are releasing the lock now."),
            Step(
                25,
                "agent",
                "resolve",
                "Hanging batch job ended, lock released.",
                "workaround_provided",
            ),
            Step(600, "requester", "reopen", "It is back since this morning, same error."),
            Step(10, "agent", "note", "Job was started again by the scheduler. Disabled it."),
        ),
        "phone",
    ),
    Story(
        "Laptop {device} gets very hot and loud",
        "The fan runs all the time, even with only the browser open.",
        "Workplace",
        "Laptop",
        "Workplace",
        3,
        3,
        (Step(200, "agent", "take"), Step(30, "agent", "hold_vendor", "Ordered a replacement fan.")),
    ),
    Story(
        "Shared calendar shows no invitations",
        "Since the update the team calendar of {site} is empty. My own calendar is fine.",
        "E-mail and calendar",
        "E-mail",
        "Applications",
        2,
        3,
        (Step(50, "agent", "take"), Step(30, "agent", "reply", "We can see the same here and are looking into it.")),
    ),
    Story(
        "Password reset does not arrive",
        "I asked for a new password three times. No mail, not in spam either.",
        "Identity",
        "Password",
        "Service Desk",
        3,
        1,
        (
            Step(5, "agent", "take"),
            Step(6, "agent", "reply", "Your address had a typo in the directory. Please try again now."),
            Step(12, "requester", "reply", "Got it, I am in."),
            Step(1, "agent", "resolve", "Address corrected in the directory.", "solution_provided"),
        ),
        "phone",
    ),
    Story(
        "Wi-Fi very slow in the meeting rooms at {site}",
        "Video calls freeze in all meeting rooms of the second floor. At my desk it is fine.",
        "Network access",
        "Wi-Fi",
        "Network",
        2,
        2,
        (
            Step(35, "agent", "take"),
            Step(60, "agent", "note", "Channel overlap with the new access points. Survey tonight."),
        ),
    ),
    Story(
        "Payslip of last month shows the wrong tax class",
        "My payslip shows tax class 1 instead of 3. Please do not share this with my department.",
        "HR self service",
        "Permissions",
        "People & HR",
        3,
        2,
        (
            Step(90, "hr", "take"),
            Step(40, "hr", "reply", "We correct it with the next run. You will get a new payslip."),
        ),
    ),
    Story(
        "Second factor lost with my phone",
        "My phone was stolen yesterday. I cannot sign in anywhere.",
        "Identity",
        "Second factor",
        "Service Desk",
        3,
        1,
        (
            Step(8, "agent", "take"),
            Step(
                14, "agent", "reply", "Old factor removed. Please call us from the office line to enrol the new phone."
            ),
            Step(
                120,
                "agent",
                "resolve",
                "New factor enrolled after checking the identity in person.",
                "solution_provided",
            ),
        ),
        "phone",
    ),
    Story(
        "Mailbox full although I deleted everything",
        "I deleted 4 GB of mail and still cannot send: *quota exceeded*.",
        "E-mail and calendar",
        "E-mail",
        "Service Desk",
        3,
        3,
        (
            Step(130, "agent", "take"),
            Step(
                15,
                "agent",
                "hold",
                "Please empty the folder *Recoverable items* (right click, *Empty*). Did that help?",
            ),
        ),
    ),
    Story(
        "Barcode scanners lose the connection in aisle 7",
        "Three scanners drop out in the same place, at the end of aisle 7 in {site}.",
        "Network access",
        "Wi-Fi",
        "Network",
        2,
        2,
        (),
    ),
    Story(
        "Projector in room {device} stays dark",
        "No picture over cable or wireless.",
        "Workplace",
        "Meeting room",
        "",
        3,
        2,
        (),
        "walk_in",
    ),
    Story(
        "Browser warns about our own intranet",
        "Since today: *your connection is not private*. All colleagues in {site} see it.",
        "Identity",
        "Browser",
        "Network",
        1,
        2,
        (
            Step(7, "agent", "take"),
            Step(20, "agent", "reply", "The certificate ran out last night. A new one is being installed."),
            Step(25, "agent", "resolve", "Certificate renewed; expiry is now watched.", "solution_provided"),
            Step(30, "requester", "close"),
        ),
        "phone",
    ),
    Story(
        "Excel closes when I open the monthly report",
        "It closes without a message. The file is 80 MB; last month’s opens.",
        "Workplace",
        "Office",
        "Applications",
        3,
        3,
        (Step(240, "requester", "cancel", "Found it: the file was damaged, I had a copy."),),
    ),
)
