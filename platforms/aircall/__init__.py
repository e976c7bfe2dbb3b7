"""Aircall, a cloud telephony platform: https://aircall.io."""

from platforms.adapter import Apply, Limit, Platform
from platforms.aircall.calls import FETCHED, ID, LISTED, read_record
from platforms.aircall.client import connect
from platforms.aircall.examples import example
from platforms.aircall.settings import AircallSettings
from platforms.aircall.webhook import TOLD, read_event, sign, verify

AIRCALL = Platform(
    name="aircall",
    settings=AircallSettings,
    id_kind=ID,
    verify=verify,
    read_event=read_event,
    read_record=read_record,
    connect=connect,
    sign=sign,
    told=TOLD,
    listed=LISTED,
    fetched=FETCHED,
    longest_range=None,  # the list's parameters name no bound
    example=example,
    apply=lambda _settings: Apply.SEVERAL,
    limits=lambda settings: (Limit(settings.requests_a_minute, 60),),
    removes=False,
)
