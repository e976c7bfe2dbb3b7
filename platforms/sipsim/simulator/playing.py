"""Plays a day: the calls end one after the other, and their webhooks go out."""

from time import monotonic
from typing import TYPE_CHECKING

from platforms.sipsim.simulator.day import Day

if TYPE_CHECKING:
    from platforms.sipsim.simulator.state import Simulator


def play(
    simulator: "Simulator",
    day: Day,
    url: str | None = None,
    secret: str | None = None,
    calls_per_second: float = 50,
) -> None:
    """Adds the day's calls to the platform at this pace and sends their webhooks, to this address if given.

    Returns when the last call has ended; its later webhooks may still be under way
    (`simulator.sender.wait_idle`). Ends early when the simulator is closed.
    """
    given = {"webhook_url": url, "webhook_secret": secret}
    simulator.config.change({name: value for name, value in given.items() if value is not None})
    simulator.playing += 1
    try:
        _play(simulator, day, calls_per_second)
    finally:
        simulator.playing -= 1


def _play(simulator: "Simulator", day: Day, calls_per_second: float) -> None:
    began = monotonic()
    for place, call in enumerate(day):
        if simulator.closed.wait(max(began + place / calls_per_second - monotonic(), 0)):
            return
        simulator.add(call.record)
        simulator.facts[call.record.reference] = call.facts
        for sending in call.sendings:
            simulator.emit(sending.payload, sending.delay, call.record.id)
