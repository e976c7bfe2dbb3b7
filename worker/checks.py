"""What a deployment needs, looked at one by one: what `calltag doctor` and the set-up page share."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from platforms.adapter import Check, Client, Grant
from platforms.errors import PlatformError
from platforms.registry import PLATFORMS
from worker.settings import Account, Settings, account_prefix
from worker.words import number

if TYPE_CHECKING:
    import httpx

SHOWN_FAULTS = 3
EVENTS = "webhook events"
"""The subject of the check that says which of the platform's events are off."""
Wanted = Callable[[Check], bool]
"""Whether the events that a check found off are to be switched on."""


def checks(settings: Settings, http: "httpx.Client", wanted: Wanted) -> Iterator[Check]:
    """All of them, in the order in which one would mend what is wrong."""
    yield Check("settings", True, f"read; data in {settings.data_dir}")
    yield _rules(settings)
    yield _database(settings)
    yield _broker(settings)
    if not settings.accounts:
        yield Check("accounts", False, no_account())
    for account in settings.accounts.values():
        yield from _account(account, http, wanted)
        if not account.platform.redelivers:
            yield _missed_webhooks(settings, account)
        yield own_address(settings, account, http)


def no_account() -> str:
    """What to do where no account is configured, in a line."""
    prefixes = " or ".join(f"{account_prefix(name)}..." for name in PLATFORMS)
    return f"no account is configured: set what docs/platforms says, which begins with {prefixes}"


def _rules(settings: Settings) -> Check:
    from rules.faults import RuleSetFaults
    from rules.loader import load

    try:
        ruleset = load(settings.rules)
    except RuleSetFaults as found:
        faults = [str(fault) for fault in found.faults]
        more = f" (and {len(faults) - SHOWN_FAULTS} more)" if len(faults) > SHOWN_FAULTS else ""
        what = "; ".join(faults[:SHOWN_FAULTS]) + more
        return Check("rules", False, f"CALLTAG_RULES, {settings.rules}: {what}")
    return Check(
        "rules",
        True,
        f"{number(len(ruleset.rules), 'rule')} in {settings.rules}, version {ruleset.hash[:12]}",
    )


def _database(settings: Settings) -> Check:
    from store import fleet
    from store.database import Database, Unavailable, migrate

    database = Database(settings.database, busy=2.0)
    kind = "SQLite in the data folder" if not settings.database_url else "CALLTAG_DATABASE_URL"
    try:
        migrate(database)
        with database.write() as connection:
            fleet.beat(connection, "doctor", "doctor", time.time())
    except (Unavailable, OSError) as fault:
        return Check("database", False, f"{kind} does not take writes: {fault}")
    finally:
        database.close()
    return Check("database", True, f"{kind} takes writes")


def _broker(settings: Settings) -> Check:
    from kombu.exceptions import OperationalError

    from worker.celery import create_celery

    where = "CALLTAG_BROKER_URL" if settings.broker_url else "CALLTAG_REDIS_URL"
    embedded = not (settings.broker_url or settings.redis_url)
    try:
        with create_celery(settings).connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
    except (OperationalError, OSError) as fault:
        if embedded:
            return Check("broker", False, "the embedded Valkey does not run; `calltag up` starts it")
        return Check("broker", False, f"{where} cannot be reached ({type(fault).__name__})")
    return Check("broker", True, "the embedded Valkey answers" if embedded else f"{where} answers")


def _account(account: Account, http: "httpx.Client", wanted: Wanted) -> Iterator[Check]:
    client = _client(account, http)
    for check in client.check():
        named = check._replace(subject=f"{account.name}: {check.subject}")
        if not check.ok and check.subject == EVENTS and wanted(named):
            named = _enable(account, client)
        yield named


def enable_events(account: Account, http: "httpx.Client") -> Check:
    """Switches on the account's events that are needed and off."""
    return _enable(account, _client(account, http))


def _enable(account: Account, client: Client) -> Check:
    subject = f"{account.name}: {EVENTS}"
    try:
        enabled = client.enable_events()
    except PlatformError as fault:
        return Check(subject, False, f"they could not be switched on: {fault}")
    return Check(subject, True, f"switched on: {', '.join(enabled) or 'none was off'}")


class OwnToken:
    """A token for this look alone: it is not taken from the fleet's, so that getting one is looked at too."""

    def __init__(self) -> None:
        self._token: str | None = None

    def token(self, renew: Callable[[], tuple[str, float]], rejected: str | None = None) -> str:
        if self._token is None or self._token == rejected:
            self._token, _life = renew()
        return self._token

    def rotating(self, renew: Callable[[str | None], Grant], rejected: str | None = None) -> str:
        return self.token(lambda: (renew(None).token, 0.0), rejected)

    def apart(self, purpose: str) -> "OwnToken":  # noqa: ARG002 - each is got by itself
        return OwnToken()


def _client(account: Account, http: "httpx.Client") -> Client:
    from platforms.link import Link

    pause = 1.0 / account.settings.rate  # a few requests, within the rate by themselves
    link = Link(http, lambda: time.sleep(pause), lambda _seconds: None)
    client: Client = account.platform.connect(account.settings, link, OwnToken())
    return client


def _missed_webhooks(settings: Settings, account: Account) -> Check:
    subject, every = f"{account.name}: missed webhooks", settings.reconcile_every
    if every:
        how = f"the platform sends none again; its list of calls is read for them every {every:g} s"
        return Check(subject, True, how)
    return Check(subject, False, "the platform sends none again, and CALLTAG_RECONCILE_EVERY is 0; with 15m "
                 "its list of calls would be read for them")  # fmt: skip


def own_address(settings: Settings, account: Account, http: "httpx.Client") -> Check:
    """Sends a signed test event the way the platform would."""
    return send_test(settings, account, http)[0]


def send_test(settings: Settings, account: Account, http: "httpx.Client") -> tuple[Check, bytes]:
    """As `own_address`, with the body that was sent."""
    import httpx
    import orjson

    url = address(settings, account)
    body = orjson.dumps(account.platform.example("test", {}))
    subject = f"{account.name}: test event to {url}"
    try:
        signed = account.platform.sign(account.settings, body, time.time())
    except ValueError as fault:
        what = f"{fault}; set {account_prefix(account.name)}WEBHOOK_SECRETS"
        return Check(subject, False, what), b""
    try:
        answer = http.post(url, content=signed.body, headers=signed.headers)
    except httpx.HTTPError as fault:
        why = (
            f"no answer ({type(fault).__name__}); is `calltag up` running, and CALLTAG_PUBLIC_URL the address"
        )
        return Check(subject, False, f"{why} that leads to it?"), signed.body
    if answer.status_code == 202:
        taken = "taken; paste this address in the platform's webhook settings"
        return Check(subject, True, taken), signed.body
    return Check(subject, False, f"answered {answer.status_code}: {answer.text[:200]}"), signed.body


def address(settings: Settings, account: Account) -> str:
    """Where the platform is to send the account's webhooks."""
    base = settings.public_url or f"http://{settings.host}:{settings.port}"
    return f"{base}/webhooks/{account.name}"
