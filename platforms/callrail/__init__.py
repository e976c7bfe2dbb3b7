"""CallRail, a call tracking platform: https://www.callrail.com."""

from platforms.adapter import Apply, Limit, Platform
from platforms.callrail.client import connect
from platforms.callrail.examples import example
from platforms.callrail.records import CALL, FETCHED, LISTED, read_record
from platforms.callrail.settings import CallrailSettings
from platforms.callrail.webhook import TOLD, read_event, sign, verify

HOUR, DAY = 3600, 86_400


def limits(settings: CallrailSettings) -> tuple[Limit, ...]:
    return (Limit(settings.requests_per_hour, HOUR), Limit(settings.requests_per_day, DAY))


CALLRAIL = Platform(
    name="callrail",
    settings=CallrailSettings,
    id_kind=CALL,
    verify=verify,
    read_event=read_event,
    read_record=read_record,
    connect=connect,
    sign=sign,
    told=TOLD,
    listed=LISTED,
    fetched=FETCHED,
    longest_range=None,  # calls older than 25 months are gone, but a range may be as long as that
    example=example,
    apply=lambda _settings: Apply.SEVERAL,
    limits=limits,
    defines=frozenset(),  # its colours are names of its own
    tags_by_name=True,
    redelivers=False,
)
