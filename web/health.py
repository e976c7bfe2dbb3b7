"""Is all well? In one word for a load balancer, and in sentences for a person."""

import threading
import time
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from store import fleet
from store.database import Database, Unavailable
from worker import why
from worker.celery import CeleryMessages
from worker.context import process_name

log = structlog.get_logger()

FRESH = 1.0
"""Seconds for which an answer is given again, so that asking often costs nothing."""


class Health:
    """`/readyz`: 200 while the database takes writes."""

    def __init__(self, database: Database, messages: CeleryMessages) -> None:
        self._database = database
        self._messages = messages
        self._name = process_name()
        self._lock = threading.Lock()
        self._answer: dict[str, Any] = {}
        self._until = 0.0

    def readyz(self, _request: Request) -> Response:
        with self._lock:
            if time.monotonic() >= self._until:
                self._answer = self._look()
                self._until = time.monotonic() + FRESH
            return JSONResponse(self._answer, 503 if self._answer["status"] == "down" else 200)

    def _look(self) -> dict[str, Any]:
        try:
            degraded = self._degraded()
        except Unavailable as fault:
            log.warning("the database takes no writes", fault=str(fault))
            return {"status": "down", "degraded": {"database": "it takes no writes now"}}
        return {"status": "degraded" if degraded else "ok", "degraded": degraded}

    def _degraded(self) -> dict[str, str]:
        """What is amiss, by subject. Writes to the database, to know that it can be written."""
        now = time.time()
        with self._database.write() as connection:
            fleet.beat(connection, self._name, "web", now)
            amiss = why.amiss(connection, now)
            refused = [notice.text for notice in fleet.amiss(connection) if notice.subject == "rules"]
        if refused:  # everybody may ask here, and the fault quotes the file, in which numbers may stand
            place = refused[0].partition(": ")[0]
            amiss["rules"] = f"a changed rule set is refused at {place}: the log and /api/status say why"
        if not self._messages.reachable:
            amiss["broker"] = "the last message could not be sent"
        return amiss
