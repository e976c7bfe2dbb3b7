"""`/setup`: the address to paste, the settings there are, and the checks of `calltag doctor`, on demand."""

import threading
import time
from collections.abc import Callable

import httpx
from starlette.responses import Response
from starlette.routing import Route

from platforms.adapter import Check
from store import inbox
from store.inbox import Arrival
from web.pages.render import duration
from web.pages.visit import Page, Site, Visit, action, page
from worker import checks, setting_texts
from worker.settings import Account

TIMEOUT = 10.0
"""Seconds that one request of a check may take."""
Look = Callable[[Visit, httpx.Client], list[Check]]


def routes(site: Site) -> list[Route]:
    one_at_a_time = threading.Lock()  # each look asks the platform a few things

    def looking(look: Look) -> Page:
        def answer(visit: Visit) -> Response:
            if not one_at_a_time.acquire(blocking=False):
                return visit.fault(
                    409, "somebody else is looking at this moment: try again when that is done"
                )
            try:
                with httpx.Client(timeout=TIMEOUT, trust_env=False) as http:
                    return _shown(visit, look(visit, http))
            except NoSuchAccount as fault:
                return visit.fault(404, str(fault))
            finally:
                one_at_a_time.release()

        return answer

    return [
        Route("/setup", page(site, setup)),
        Route("/setup/checks", action(site, looking(check_all)), methods=["POST"]),
        Route("/setup/events", action(site, looking(enable)), methods=["POST"]),
        Route("/setup/test", action(site, looking(test)), methods=["POST"]),
    ]


class NoSuchAccount(Exception):
    """No account of that name is configured."""


def setup(visit: Visit) -> Response:
    """The page; nothing is checked by looking at it."""
    return _page(visit, None)


def _page(visit: Visit, found: list[Check] | None) -> Response:
    settings = visit.state.settings
    with visit.state.database.read() as connection:
        last = inbox.newest_webhooks(connection)
    accounts = [
        (account, checks.address(settings, account), last.get(account.name))
        for account in settings.accounts.values()
    ]
    return visit.render(
        "setup.html",
        accounts=accounts,
        no_account=None if accounts else checks.no_account(),
        public=bool(settings.public_url),
        whole=setting_texts.of_the_whole(settings),
        own=setting_texts.of_accounts(settings),
        found=found,
        events=checks.EVENTS,
    )


def _shown(visit: Visit, found: list[Check]) -> Response:
    if visit.is_part:
        return visit.render("_parts/checks.html", found=found, events=checks.EVENTS)
    return _page(visit, found)


def check_all(visit: Visit, http: httpx.Client) -> list[Check]:
    """All that `calltag doctor` looks at; switches nothing on."""
    return list(checks.checks(visit.state.settings, http, lambda _check: False))


def enable(visit: Visit, http: httpx.Client) -> list[Check]:
    """Switches on the webhook events of an account that are off."""
    return [checks.enable_events(_account(visit), http)]


def test(visit: Visit, http: httpx.Client) -> list[Check]:
    """Sends a test event to our own address, and says whether it is in the inbox."""
    account, began = _account(visit), time.time()
    sent, body = checks.send_test(visit.state.settings, account, http)
    return [sent, _seen(visit, account, body, began)] if sent.ok else [sent]


def _seen(visit: Visit, account: Account, body: bytes, began: float) -> Check:
    arrival = Arrival(account.name, body, began, began, identity=account.platform.identity(body))
    with visit.state.database.read() as connection:
        event = inbox.find(connection, arrival)
    subject = f"{account.name}: the inbox"
    if event is None:
        return Check(subject, False, "the test event is not in it: another calltag answers at this address")
    if event[1] < began:
        ago = duration(time.time() - event[1])
        return Check(subject, True, f"the same test event was seen {ago} ago: it is event {event[0]}")
    return Check(subject, True, f"the test event was seen: it is event {event[0]}")


def _account(visit: Visit) -> Account:
    name = visit.field("account")
    if name not in visit.state.settings.accounts:
        raise NoSuchAccount(f"no account is named '{name}'")
    return visit.state.settings.accounts[name]
