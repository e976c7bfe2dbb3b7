"""Access tokens: asked for once, shared by the fleet, renewed before they end.

Those that cost nothing to lose are shared through Redis. Where renewing uses up a refresh token, both are
kept in the database, whose row also says who renews.
"""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import redis
from redis.exceptions import LockError

from platforms.adapter import Grant
from platforms.errors import PlatformError, Unauthorized, Unreachable
from store import credentials
from store.credentials import Kept, State
from store.database import Database, Unavailable

RENEW_BEFORE = 60.0
"""Seconds before its end that a token is renewed; a tenth of its life if that is less."""
RENEWING = 20.0
"""Seconds that one process may take to renew while the others wait."""
RENEWAL = 90.0
"""Seconds for which a renewal by a refresh token belongs to a process: more than its two requests take."""
LOGIN_EVERY = 12.0
LOGINS_AT_ONCE = 3
"""Seconds between two logins of an account, and how many may come at once: seven in any minute, where
platforms take ten."""
LOOK_AGAIN = 0.1
"""Seconds between two looks whether another process has renewed."""


class FleetTokens:
    """One account's token. While Redis is away each process has its own."""

    def __init__(self, client: redis.Redis, account: str, database: Database) -> None:
        self._redis = client
        self._account = account
        self._database = database
        self._kept = KeptTokens(database, account)
        self._key = f"calltag:token:{account}"
        self._lock = threading.Lock()
        self._token: str | None = None
        self._good_until = 0.0
        self._failed: tuple[float, PlatformError] | None = None
        self._others: dict[str, FleetTokens] = {}

    def apart(self, purpose: str) -> "FleetTokens":
        """See `platforms.adapter.TokenSource`."""
        with self._lock:
            if purpose not in self._others:
                self._others[purpose] = FleetTokens(self._redis, f"{self._account}:{purpose}", self._database)
            return self._others[purpose]

    def rotating(self, renew: Callable[[str | None], Grant], rejected: str | None = None) -> str:
        """See `platforms.adapter.TokenSource`."""
        return self._kept.token(renew, rejected)

    def token(self, renew: Callable[[], tuple[str, float]], rejected: str | None = None) -> str:
        """See `platforms.adapter.TokenSource`. Who waited for a renewal that failed fails with it."""
        asked_at = time.monotonic()
        with self._lock:
            if self._token is not None and self._token != rejected and time.monotonic() < self._good_until:
                return self._token
            if found := self._shared(rejected):
                return found
            if self._failed is not None and self._failed[0] >= asked_at:
                raise self._failed[1]
            with self._one_renewal():
                return self._shared(rejected) or self._renewed(renew)

    def _shared(self, rejected: str | None) -> str | None:
        try:
            text = self._redis.get(self._key)
            left = self._redis.pttl(self._key) / 1000
        except redis.RedisError:
            return None
        token = text.decode() if isinstance(text, bytes) else None
        if token is None or token == rejected or left <= 0:
            return None
        self._token, self._good_until = token, time.monotonic() + left
        return token

    @contextlib.contextmanager
    def _one_renewal(self) -> Iterator[None]:
        lock = self._redis.lock(f"{self._key}:renewing", timeout=RENEWING, blocking_timeout=RENEWING)
        try:
            lock.acquire()
        except redis.RedisError:
            yield
            return
        try:
            yield
        finally:
            with contextlib.suppress(redis.RedisError, LockError):  # it ends by itself
                lock.release()

    def _renewed(self, renew: Callable[[], tuple[str, float]]) -> str:
        try:
            token, life = renew()
        except PlatformError as fault:
            self._failed = (time.monotonic(), fault)
            raise
        useful = max(life - min(RENEW_BEFORE, life / 10), 1.0)
        self._token, self._good_until = token, time.monotonic() + useful
        with contextlib.suppress(redis.RedisError):  # then only this process knows it
            self._redis.set(self._key, token, px=int(useful * 1000))
        return token


class KeptTokens:
    """One account's tokens in the database; the lease in their row lets one process at a time renew them."""

    def __init__(self, database: Database, account: str) -> None:
        self._database = database
        self._account = account
        self._owner = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._token: str | None = None
        self._good_until = 0.0

    def token(self, renew: Callable[[str | None], Grant], rejected: str | None) -> str:
        """See `platforms.adapter.TokenSource.rotating`. Without the database there is no token."""
        with self._lock:
            if self._token is not None and self._token != rejected and time.time() < self._good_until:
                return self._token
            try:
                kept = self._found_or_renewed(renew, rejected)
            except Unavailable:
                raise Unreachable("the token is kept in the database, which cannot be used now") from None
            self._token, self._good_until = kept.access_token, kept.access_until
            return kept.access_token

    def _found_or_renewed(self, renew: Callable[[str | None], Grant], rejected: str | None) -> Kept:
        ends = time.monotonic() + RENEWING
        while time.monotonic() < ends:
            now = time.time()
            if (kept := self._read().kept) and kept.access_token != rejected and now < kept.access_until:
                return kept
            if self._take(now) and (kept := self._renewed(renew, rejected)) is not None:
                return kept
            time.sleep(LOOK_AGAIN)
        raise Unreachable("another process has not renewed the token in time", retry_after=RENEWING)

    def _read(self) -> State:
        with self._database.read() as connection:
            return credentials.read(connection, self._account)

    def _take(self, now: float) -> bool:
        with self._database.write() as connection:
            return credentials.take(connection, self._account, self._owner, now, RENEWAL)

    def _renewed(self, renew: Callable[[str | None], Grant], rejected: str | None) -> Kept | None:
        """What the platform gave, once it is kept; None where another process has renewed meanwhile."""
        state, now = self._read(), time.time()  # as it is since the renewal is ours
        login_at = state.login_at
        try:
            if state.kept and state.kept.access_token != rejected and now < state.kept.access_until:
                return None
            grant = self._by_refresh_token(renew, state.kept, now)
            if grant is None:
                wait = login_at - LOGIN_EVERY * (LOGINS_AT_ONCE - 1) - now
                if wait > 0:
                    raise Unreachable("the last logins were a moment ago", retry_after=wait)
                login_at = max(login_at, now) + LOGIN_EVERY
                grant = renew(None)
            until = grant.until - min(RENEW_BEFORE, (grant.until - now) / 10)
            brought = Kept(grant.token, until, grant.refresh, grant.refresh_until)
            with self._database.write() as connection:
                mine = credentials.renewed(connection, self._account, self._owner, brought, login_at)
            return brought if mine else None
        finally:
            with contextlib.suppress(Unavailable), self._database.write() as connection:
                credentials.failed(connection, self._account, self._owner, login_at)

    def _by_refresh_token(
        self, renew: Callable[[str | None], Grant], kept: Kept | None, now: float
    ) -> Grant | None:
        if kept is None or kept.refresh_token is None or now >= kept.refresh_until:
            return None
        try:
            return renew(kept.refresh_token)
        except Unauthorized:  # it was used up, by a renewal that was never kept
            return None
