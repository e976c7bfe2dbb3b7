"""One event as people see it: its body, and what the adapter reads in it."""

import json
from typing import Any

from platforms.errors import Unreadable
from rules.facts import facts_to_json
from store.inbox import InboxEvent
from store.listing import EventRow
from worker.fold import read
from worker.settings import Settings


def body_of(body: bytes) -> Any:
    """The body as JSON where it is that, else as text."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def says(settings: Settings, row: EventRow, body: bytes) -> Any:
    """The facts that the adapter reads in it as JSON has them, or in words why there are none."""
    account = settings.accounts.get(row.account)
    if row.source == "snapshot":
        return "what the dropped events of its call said"
    if row.emptied_at is not None:
        return "its body was dropped"
    if account is None:
        return f"the account '{row.account}' is not configured"
    stored = InboxEvent(row.id, row.account, row.source, body, row.signed_at, row.received_at)
    try:
        event = read(account, stored)
    except Unreadable as fault:
        return str(fault)
    return event.ignored or facts_to_json({**event.defaults, **event.facts})
