"""What others would write to re-tag the past, to measure beside: one Celery task per call, GET and PUT.

The settings in the environment are those of `benchmarks.rivals`.
"""

from datetime import UTC, datetime

import orjson

from benchmarks.rivals import Shared, queue, shared
from platforms.sipsim.records import read_record
from rules.evaluate import evaluate

PAGE = 1000


@queue.task(name="rival.retag_call", acks_late=True)
def retag_call(call: int) -> None:
    """Puts the tags that the call deserves and does not have."""
    if not shared:
        shared.append(Shared())
    mine = shared[0]
    item = mine.http.get(f"/api/v2/calls/{call}").raise_for_status().json()["data"]
    event = read_record(mine.settings, orjson.dumps(item))
    for tag in evaluate(mine.ruleset, {**event.defaults, **event.facts}).tags:
        if tag not in (event.tags or ()):
            mine.http.put(f"/api/v2/calls/{call}/tags/{mine.tag_ids[tag]}").raise_for_status()


def retag(since: float, until: float) -> int:
    """Lists the calls of that time (Unix seconds) and makes a task of each; gives how many there are."""
    http = Shared().http
    begin, end = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in (since, until))
    asked = {"start_time": begin, "end_time": end, "limit": str(PAGE)}
    number, more = 0, True
    while more:
        answer = http.get("/api/v2/calls", params=asked).raise_for_status().json()
        for item in answer["data"]:
            retag_call.delay(item["id"])
        number += len(answer["data"])
        more = answer["pagination"]["has_more"]
        asked["page"] = answer["pagination"].get("page", "")
    return number
