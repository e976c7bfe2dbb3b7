"""The platforms that calltag knows, by name. A new adapter adds its line here."""

from collections.abc import Mapping

from platforms.adapter import Platform
from platforms.aircall import AIRCALL
from platforms.callrail import CALLRAIL
from platforms.convirza import CONVIRZA
from platforms.sipsim import SIPSIM

PLATFORMS: Mapping[str, Platform] = {
    platform.name: platform for platform in (SIPSIM, AIRCALL, CALLRAIL, CONVIRZA)
}
