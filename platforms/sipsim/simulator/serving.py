"""Runs the simulator on a socket, in a thread of this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from platforms.simulated import serving
from platforms.sipsim.simulator.state import Simulator


@contextmanager
def serve(simulator: Simulator, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Gives the URL at which the simulator answers until the block ends. OSError if the port cannot be had.

    Stops the simulator's webhooks too when it ends.
    """
    with serving.serve(simulator.app, simulator.connections, host, port) as url:
        try:
            yield url
        finally:
            simulator.close()
