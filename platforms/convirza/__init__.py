"""Convirza, call tracking and conversation analytics: https://docs.convirza.com."""

from datetime import timedelta

from platforms.adapter import Apply, Platform
from platforms.convirza.client import connect
from platforms.convirza.examples import example
from platforms.convirza.records import LISTED, read_record
from platforms.convirza.settings import ConvirzaSettings
from platforms.convirza.webhook import TOLD, identity, read_event, sign, verify

CONVIRZA = Platform(
    name="convirza",
    settings=ConvirzaSettings,
    id_kind="call_id",
    verify=verify,
    read_event=read_event,
    read_record=read_record,
    connect=connect,
    sign=sign,
    told=TOLD,
    listed=LISTED,
    fetched=frozenset(),  # the list brings the transcripts
    longest_range=timedelta(days=31),
    example=example,
    apply=lambda settings: Apply.SEVERAL if settings.apply == "v2" else Apply.NONE,
    removes=False,
    defines=frozenset(),
    identity=identity,
    echoes=False,
    redelivers=False,  # not documented: the platform's list is read often
)
