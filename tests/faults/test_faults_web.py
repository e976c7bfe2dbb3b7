"""The receiver killed under load: what was answered is kept, what was not is taken when it comes again."""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import httpx
import orjson
import pytest
from sqlalchemy import select

from platforms.sipsim.simulator import DayCall
from platforms.sipsim.simulator.signing import signed_headers
from store.database import Database
from store.schema import events
from tests.service import KILLS, WEBHOOK_SECRET, Run, a_day, calltag_up, kill, platform
from tests.waiting import eventually

SENDERS = 8


class LossChecker:
    """Posts signed events as a platform would, once each, and notes what was answered."""

    def __init__(self, run: Run, bodies: Sequence[bytes]) -> None:
        self._run = run
        self._bodies = bodies
        self.answers: dict[bytes, str] = {}
        """By body: `accepted`, `duplicate`, another status, or `none` where no answer came."""

    def send(self, body: bytes) -> str:
        headers = signed_headers(WEBHOOK_SECRET, body, time.time())
        address = f"{self._run.address}/webhooks/sipsim"
        try:
            answer = httpx.post(address, content=body, headers=headers, timeout=2, trust_env=False)
        except httpx.HTTPError:
            return "none"
        return str(answer.json()["status"]) if answer.status_code == 202 else str(answer.status_code)

    def _note(self, body: bytes) -> None:
        self.answers[body] = self.send(body)
        if self.answers[body] == "none":
            eventually(self._run.answers, "the receiver is back", 60)  # the next ones are for then

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Sends all while the block runs, and to the end of it."""
        with ThreadPoolExecutor(SENDERS) as pool:
            sent = [pool.submit(self._note, body) for body in self._bodies]
            yield
            for each in sent:
                each.result()

    def has_acknowledged(self, number: int) -> None:
        eventually(lambda: len(self.having("accepted")) >= number, f"{number} events are accepted", 60)

    def having(self, *answers: str) -> list[bytes]:
        return [body for body, given in list(self.answers.items()) if given in answers]


def kept(run: Run) -> list[bytes]:
    """The keys of all webhooks in the inbox."""
    database = Database(f"sqlite:///{run.folder / 'data' / 'calltag.db'}")
    try:
        with database.read() as connection:
            return [
                bytes(key)
                for key in connection.execute(
                    select(events.c.dedup_key).where(events.c.source == "webhook")
                ).scalars()
            ]
    finally:
        database.close()


def sha256s(bodies: Iterable[bytes]) -> set[bytes]:
    return {sha256(body).digest() for body in bodies}


def bodies_of(day: Sequence[DayCall]) -> list[bytes]:
    """Each event once."""
    return list(dict.fromkeys(orjson.dumps(sending.payload) for call in day for sending in call.sendings))


@pytest.mark.timeout(400)
def test_no_acknowledged_event_is_lost_when_the_receiver_is_killed(tmp_path: Path) -> None:
    day = a_day(140)
    bodies = bodies_of(day)
    assert len(bodies) >= 500
    with platform({"echoes": False}) as (simulator, url), calltag_up(tmp_path, simulator, url) as run:
        for call in day:
            simulator.add(call.record)
        run.played += day
        checker = LossChecker(run, bodies)
        with checker.sending():
            for number in (100, 250, 400):
                checker.has_acknowledged(number)
                kill(run.part("web"))
        acknowledged = checker.having("accepted")
        assert sha256s(acknowledged) <= set(kept(run))
        unanswered = checker.having("none", "503")
        assert unanswered
        assert len(acknowledged) + len(unanswered) == len(bodies)
        assert {checker.send(body) for body in unanswered} <= {"accepted", "duplicate"}
        assert {checker.send(body) for body in bodies} == {"duplicate"}
        assert sorted(kept(run)) == sorted(sha256s(bodies))
        run.ends_right(KILLS)
