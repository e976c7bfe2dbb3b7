"""Convirza as far as its public documents tell, to develop, test and demonstrate against.

Shares no code with the adapter, so that the one proves the other. What the documents leave open (a call's
fields, how the old API puts tags on calls) is made up here as plainly as can be.
"""

from platforms.convirza.simulator.api import make_app
from platforms.convirza.simulator.shown import simulate
from platforms.convirza.simulator.state import Config, Kept, Simulator

__all__ = ["Config", "Kept", "Simulator", "make_app", "simulate"]
