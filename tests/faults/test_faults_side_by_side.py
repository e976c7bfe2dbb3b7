"""Two platforms at once, each with its own address, rate, breaker and tags, while one of them is down."""

from pathlib import Path

import pytest

from platforms.registry import PLATFORMS
from platforms.simulated import Simulated, simulator
from rules.evaluate import evaluate
from rules.facts import facts_from_json
from rules.loader import load
from tests.platform_bench import environment
from tests.service import SAMPLE, STORM, a_day, calltag_up, platform
from tests.waiting import eventually

HANGS = 60.0
"""Seconds that the platform which is down takes for an answer: longer than anybody waits."""
AT_ONCE = 25.0
"""Seconds within which the calls of the other one are tagged: shorter than three waits for the first, after
which nobody asks that one any more."""


def as_planned(account: str, simulated: Simulated) -> dict[str, list[str]]:
    """By reference, the tags that the rules say for the facts as the day was planned."""
    ruleset = load(SAMPLE)
    return {
        reference: sorted(evaluate(ruleset, facts_from_json({"account": account, **facts})).tags)
        for reference, facts in simulated.facts.items()
    }


@pytest.mark.timeout(300)
def test_a_platform_that_is_down_does_not_slow_another(tmp_path: Path) -> None:
    name = next(name for name in sorted(PLATFORMS) if name != "sipsim")  # one tells it for all
    account = f"{name}-lyon"
    with platform() as (down, url), simulator(name)(limited=False) as up:
        settings = environment(account, name, up) | {"CALLTAG_ACCOUNTS": f"sipsim,{account}"}
        with calltag_up(tmp_path, down, url, settings=settings) as run:
            up.send_to(f"{run.address}/webhooks/{account}")
            down.config.change({"latency": HANGS})
            with run.playing(a_day(80), 20):
                up.play(80, 20)
            eventually(lambda: not up.waiting, "the webhooks are taken")
            eventually(
                lambda: dict(up.call_tags()) == as_planned(account, up),
                "all of one platform is tagged",
                AT_ONCE,
            )
            assert not any(down.call_tags().values())
            missed = "platform:sipsim"  # told after three batches in vain, each as long as a request may take
            eventually(lambda: missed in run.health()["degraded"], "the other one is missed", STORM)
            assert f"platform:{account}" not in run.health()["degraded"]
            down.config.change({"latency": 0})
            run.ends_right(STORM)
            assert dict(up.call_tags()) == as_planned(account, up)
            assert up.requests["429"] == 0
