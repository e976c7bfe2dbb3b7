"""SIPSIM as far as its public documents tell, to develop, test and demonstrate against.

Shares no code with the adapter, so that the one proves the other.
"""

from platforms.sipsim.simulator.config import Config
from platforms.sipsim.simulator.day import Day, DayCall, Sending, make_day
from platforms.sipsim.simulator.gate import PlannedFault
from platforms.sipsim.simulator.playing import play
from platforms.sipsim.simulator.records import Record, Segment
from platforms.sipsim.simulator.series import Series
from platforms.sipsim.simulator.serving import serve
from platforms.sipsim.simulator.shown import simulate
from platforms.sipsim.simulator.state import Simulator

__all__ = [
    "Config",
    "Day",
    "DayCall",
    "PlannedFault",
    "Record",
    "Segment",
    "Sending",
    "Series",
    "Simulator",
    "make_day",
    "play",
    "serve",
    "simulate",
]
