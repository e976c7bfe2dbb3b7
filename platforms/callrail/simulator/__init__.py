"""CallRail as far as its public documents tell, to develop, test and demonstrate against.

Shares no code with the adapter, so that the one proves the other.
"""

from platforms.callrail.simulator.api import make_app
from platforms.callrail.simulator.calls import Kept
from platforms.callrail.simulator.shown import simulate
from platforms.callrail.simulator.state import Config, Simulator

__all__ = ["Config", "Kept", "Simulator", "make_app", "simulate"]
