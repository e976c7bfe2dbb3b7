"""The rate, against a real Valkey: the fleet together stays inside it, and uses it."""

import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from cli.valkey import Valkey
from platforms.adapter import Limit
from platforms.errors import OutOfTime
from tests.waiting import eventually
from worker.context import redis_client
from worker.process import tied
from worker.rate import AHEAD, REDIS_AWAY, SPARE, Rate, Spacing, Who, cells
from worker.settings import load_settings

DRAIN = """
import sys, threading, time
from worker.context import redis_client
from worker.rate import Rate
from worker.settings import load_settings

url, who = sys.argv[1], sys.argv[6]
rate, seconds, threads, share = map(float, sys.argv[2:6])
redis = redis_client(load_settings(environ={"CALLTAG_REDIS_URL": url}))
limit = Rate(redis, "sipsim", rate, lambda: int(share))
print("ready", flush=True)
sys.stdin.readline()
end = time.time() + seconds
def work():
    while time.time() < end:
        limit.wait(30, who == "behind")
        sys.stdout.write(f"{time.time():.6f}\\n")
all = [threading.Thread(target=work) for _ in range(int(threads))]
for each in all: each.start()
for each in all: each.join()
"""


@contextmanager
def draining(
    url: str,
    rate: float,
    seconds: float,
    share: int = 1,
    threads: int = 8,
    who: str = "live",
    at_once: bool = True,
) -> "Iterator[subprocess.Popen[str]]":
    """A process of so many threads that take one slot after the other, and write when each was theirs; `who`
    goes behind live calls says `behind`. One that is not to begin at once waits for `go`."""
    arguments = [url, str(rate), str(seconds), str(threads), str(share), who]
    with subprocess.Popen(
        tied([sys.executable, "-c", DRAIN, *arguments]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        if at_once:
            go(process)
        yield process
        process.kill()


def go(*processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()


def grants(processes: "list[subprocess.Popen[str]]") -> list[float]:
    return sorted(float(line) for process in processes for line in process.communicate()[0].split())


def most_in_one_second(times: list[float]) -> int:
    return max(bisect_right(times, at + 1.0) - place for place, at in enumerate(times))


def usual(times: list[float]) -> float:
    """Slots a second, as the median of quarters of a second: a machine that stands still for some does not
    count."""
    quarters = Counter(int((at - times[0]) * 4) for at in times)
    return 4 * statistics.median(quarters[number] for number in range(max(quarters)))


@contextmanager
def frozen(server: Valkey) -> Iterator[None]:
    pid = int(redis.Redis.from_url(server.url).info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def client(url: str) -> redis.Redis:
    return redis_client(load_settings(environ={"CALLTAG_REDIS_URL": url}))


def make(server: Valkey, rate: float, share: int = 1) -> Rate:
    return Rate(client(server.url), "sipsim", rate, lambda: share)


def slots(rate: Rate, seconds: float) -> int:
    """How many slots one thread after the other gets in that time."""
    end, number = time.monotonic() + seconds, 0
    while (left := end - time.monotonic()) > 0:
        try:
            rate.wait(left)
        except OutOfTime:
            break
        number += 1
    return number


def test_two_processes_of_eight_threads_stay_inside_the_rate_and_use_it(valkey: Valkey) -> None:
    with ExitStack() as stack:
        both = [stack.enter_context(draining(valkey.url, 50, 3, at_once=False)) for _ in range(2)]
        go(*both)
        times = grants(both)
    assert most_in_one_second(times) <= 55
    assert usual(times) >= 0.95 * 50


@pytest.mark.parametrize("rate", [50, 500])
def test_who_goes_behind_live_calls_uses_the_rate_when_there_are_none(valkey: Valkey, rate: float) -> None:
    with ExitStack() as stack:
        both = [
            stack.enter_context(draining(valkey.url, rate, 3, threads=16, who="behind", at_once=False))
            for _ in range(2)
        ]
        go(*both)
        times = grants(both)
    assert most_in_one_second(times) <= 1.1 * rate
    assert usual(times) >= 0.95 * rate


def test_while_live_calls_wait_nobody_goes_before_them(valkey: Valkey) -> None:
    with (
        draining(valkey.url, 100, 5, threads=16, who="behind", at_once=False) as batch,
        draining(valkey.url, 100, 2, threads=8, at_once=False) as live,
    ):
        go(batch, live)
        [live_times, batch_times] = grants([live]), grants([batch])
    begins, ends = live_times[0] + 2 * AHEAD, live_times[-8]  # at the end none waits after the others
    meanwhile = [at for at in batch_times if begins < at < ends]
    most = 0.5 * len(live_times)  # twice as many threads would have twice as many
    assert len(meanwhile) <= most, "only while a thread did not wake up in time"
    assert [at for at in batch_times if at > ends + 0.5], "it goes on afterwards"


def test_a_live_call_beside_a_job_waits_for_what_is_promised_ahead_and_no_longer(valkey: Valkey) -> None:
    rate = make(valkey, 50)
    promised = []
    with draining(valkey.url, 50, 3, threads=16, who="behind") as batch:
        eventually(lambda: redis.Redis.from_url(valkey.url).exists("calltag:rate:sipsim"), "it has begun")
        for _ in range(20):
            granted, wait = rate._slot(10.0, Who.LIVE)
            assert granted
            promised.append(wait)
            time.sleep(0.1)
        batch.kill()
    assert max(promised) <= AHEAD + SPARE / 50 + 0.005
    assert max(promised) > 0, "the job was at it"


def test_a_pause_is_obeyed_by_another_process(valkey: Valkey) -> None:
    with draining(valkey.url, 50, 2.0) as process:
        eventually(lambda: redis.Redis.from_url(valkey.url).exists("calltag:rate:sipsim"), "a slot was taken")
        time.sleep(0.3)  # some way into its run
        asked = time.time()
        make(valkey, 50).cool_down(1.0)
        cooled = time.time()
        times = grants([process])
    assert [at for at in times if at < asked], "it had begun before"
    assert len([at for at in times if cooled + 0.01 < at < asked + 0.99]) <= 1, "one slot may have been given"
    assert [at for at in times if at > asked + 1.0]


def test_a_pause_only_ever_grows(valkey: Valkey) -> None:
    rate = make(valkey, 50)
    rate.cool_down(5.0)
    rate.cool_down(1.0)
    with pytest.raises(OutOfTime) as refused:
        rate.wait(2.0)
    assert refused.value.retry_after == pytest.approx(5.0, abs=0.2)


def test_a_slot_that_comes_too_late_is_not_taken(valkey: Valkey) -> None:
    rate = make(valkey, 0.5)
    rate.wait(1.0)
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(OutOfTime):
            rate.wait(0.5)
    assert time.monotonic() - began < 1.5, "it was told at once"
    rate.wait(2.1)  # the next slot is still free


def test_a_thread_that_waits_for_its_turn_keeps_to_its_own_deadline(valkey: Valkey) -> None:
    rate = make(valkey, 1)
    rate.wait(1.0)
    first = threading.Thread(target=rate.wait, args=[5.0])
    first.start()
    began = time.monotonic()
    with pytest.raises(OutOfTime):
        rate.wait(0.3)
    assert time.monotonic() - began < 0.9
    first.join()


def test_accounts_have_their_own_rates(valkey: Valkey) -> None:
    Rate(client(valkey.url), "one", 1, lambda: 1).wait(0.0)
    Rate(client(valkey.url), "two", 1, lambda: 1).wait(0.0)
    with pytest.raises(OutOfTime):
        Rate(client(valkey.url), "one", 1, lambda: 1).wait(0.0)


def test_without_redis_each_process_keeps_to_its_share(tmp_path: Path) -> None:
    rate = Rate(client(f"unix://{tmp_path}/nobody.sock"), "sipsim", 40, lambda: 4)
    assert 9 <= slots(rate, 1.0) <= 11


def test_without_redis_a_pause_is_obeyed_by_its_own_process(tmp_path: Path) -> None:
    rate = Rate(client(f"unix://{tmp_path}/nobody.sock"), "sipsim", 40, lambda: 1)
    rate.cool_down(3.0)
    with pytest.raises(OutOfTime):
        rate.wait(1.0)


def test_a_frozen_redis_costs_a_moment_and_then_the_share_is_kept(
    start_valkey: Callable[[Path], Valkey], tmp_path: Path
) -> None:
    server = start_valkey(tmp_path)
    rate = make(server, 40, share=2)
    rate.wait(1.0)
    with frozen(server):
        began = time.monotonic()
        rate.wait(10.0)
        assert time.monotonic() - began < 3.0
        assert slots(rate, REDIS_AWAY / 2) <= 40 / 2 * REDIS_AWAY / 2 * 1.1 + 1


def test_who_finds_redis_again_keeps_to_its_share_until_all_have(
    start_valkey: Callable[[Path], Valkey], tmp_path: Path
) -> None:
    server = start_valkey(tmp_path)
    rate = make(server, 40, share=4)
    with frozen(server):
        rate.wait(10.0)
    eventually(lambda: time.monotonic() > rate._away_until, "Redis is asked again")
    assert 9 <= slots(rate, 1.0) <= 12
    eventually(lambda: time.monotonic() > rate._sharing_until, "all have found it")
    assert slots(rate, 1.0) >= 35


def test_while_redis_is_lost_and_found_again_the_fleet_stays_inside_the_rate(
    start_valkey: Callable[[Path], Valkey], tmp_path: Path
) -> None:
    server = start_valkey(tmp_path)
    with ExitStack() as stack:
        both = [stack.enter_context(draining(server.url, 50, 6.0, share=2)) for _ in range(2)]
        time.sleep(1.0)  # in the middle of it
        with frozen(server):
            time.sleep(2.5)  # long enough for both to notice
        times = grants(both)
    assert most_in_one_second(times) <= 55
    assert times[-1] - times[0] > 5.0


def test_what_redis_forgets_is_not_made_up_for(
    start_valkey: Callable[[Path], Valkey], tmp_path: Path
) -> None:
    server = start_valkey(tmp_path)
    with ExitStack() as stack:
        both = [stack.enter_context(draining(server.url, 20, 2.5)) for _ in range(2)]
        time.sleep(1.0)  # in the middle of it
        redis.Redis.from_url(server.url).flushall()
        times = grants(both)
    assert most_in_one_second(times) <= 22 + 2, "each process may have been promised one"


def test_a_limit_over_a_long_time_is_held_by_several_processes_and_half_of_it_may_come_at_once(
    valkey: Valkey,
) -> None:
    limits = [Limit(40, 4.0)]
    rates = [Rate(client(valkey.url), "sipsim", 1000, lambda: 2, limits) for _ in range(2)]
    times: list[float] = []

    def draw(rate: Rate) -> None:
        end = time.monotonic() + 6.0
        while (left := end - time.monotonic()) > 0:
            try:
                rate.wait(left)
            except OutOfTime:
                return
            times.append(time.monotonic())

    threads = [threading.Thread(target=draw, args=[rate]) for rate in rates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    assert max(bisect_right(times, at + 4.0) - place for place, at in enumerate(times)) <= 40
    assert len([at for at in times if at < times[0] + 0.5]) >= 19, "half of it comes at once"
    assert len(times) >= 45, "the rest comes evenly"


def test_without_redis_each_process_keeps_to_its_share_of_a_long_limit() -> None:
    spacing = Spacing(cells(1000, [Limit(40, 3600.0)]))
    taken = [spacing.reserve(4, 0.1)[0] for _ in range(20)]
    assert 5 <= sum(taken) <= 6
