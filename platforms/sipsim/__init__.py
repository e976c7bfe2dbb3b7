"""SIPSIM, a cloud telephony platform: https://app.sipsim.com."""

from platforms.adapter import Apply, Platform
from platforms.sipsim.client import connect
from platforms.sipsim.examples import example
from platforms.sipsim.records import FETCHED, LISTED, read_record
from platforms.sipsim.settings import SipsimSettings
from platforms.sipsim.webhook import TOLD, read_event, sign, verify

SIPSIM = Platform(
    name="sipsim",
    settings=SipsimSettings,
    id_kind="call_id",
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
    apply=lambda _settings: Apply.ONE,
    aliases=True,
    lookup=lambda settings: settings.call_lookup,
)
