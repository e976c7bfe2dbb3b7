"""What others would write, to measure beside: three receivers of webhooks, and one Celery task per webhook.

`BENCH_REDIS` and `BENCH_PLATFORM` in the environment name the Redis and the platform.
"""

import hashlib
import hmac
import os
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
import redis.asyncio
from celery import Celery
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.load import SECRET
from platforms.sipsim.settings import SipsimSettings
from platforms.sipsim.webhook import read_event
from rules.evaluate import evaluate
from rules.loader import load

REDIS = os.environ["BENCH_REDIS"]
PLATFORM = os.environ.get("BENCH_PLATFORM", "")
RULES = os.environ.get("BENCH_RULES", "")

queue = Celery("rival", broker="redis+socket://" + REDIS.removeprefix("unix://"))
queue.conf.update(task_ignore_result=True, task_default_queue="rival", worker_hijack_root_logger=False)
pushes = redis.asyncio.Redis.from_url(REDIS)


async def genuine(request: Request) -> bytes | None:
    """The body, if its signature fits."""
    body = await request.body()
    stamp = request.headers.get("x-webhook-timestamp", "")
    if not stamp.isdigit() or abs(time.time() - int(stamp)) > 300:
        return None
    digest = hmac.new(SECRET, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return body if hmac.compare_digest(digest, request.headers.get("x-webhook-signature", "")) else None


async def bare(_request: Request) -> Response:
    return Response(status_code=202)


async def push(request: Request) -> Response:
    body = await genuine(request)
    if body is None:
        return Response(status_code=401)
    await pushes.rpush("webhooks", body)
    return Response(status_code=202)


async def delay(request: Request) -> Response:
    body = await genuine(request)
    if body is None:
        return Response(status_code=401)
    tag_call.delay(orjson.loads(body))
    return Response(status_code=202)


app = Starlette(
    routes=[
        Route("/bare", bare, methods=["POST"]),
        Route("/push", push, methods=["POST"]),
        Route("/delay", delay, methods=["POST"]),
    ]
)


class Shared:
    """What the tasks of one process share; made with the first of them."""

    def __init__(self) -> None:
        self.settings = SipsimSettings()
        self.ruleset = load(Path(RULES))
        self.http = httpx.Client(base_url=PLATFORM, trust_env=False)
        self.http.headers["Authorization"] = f"Bearer {self._token()}"
        listed = self.http.get("/api/v2/tags").raise_for_status().json()["data"]
        self.tag_ids = {tag["name"]: tag["id"] for tag in listed}

    def _token(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": "simulated-client",
            "client_secret": "simulated-client-secret",
            "scope": "tags.read tags.write calls.read calls.tags.write",
        }
        return str(self.http.post("/oauth/token", data=form).raise_for_status().json()["access_token"])


shared: list[Shared] = []


@queue.task(name="rival.tag_call", acks_late=True, autoretry_for=(httpx.HTTPError,), retry_backoff=True)
def tag_call(payload: dict[str, Any]) -> None:
    """Decides which tags the call deserves, and puts them."""
    if not shared:
        shared.append(Shared())
    mine = shared[0]
    event = read_event(mine.settings, orjson.dumps(payload))
    for tag in evaluate(mine.ruleset, {**event.defaults, **event.facts}).tags:
        path = f"/api/v2/calls/{payload['pbx_id']}/tags/{mine.tag_ids[tag]}"
        mine.http.put(path).raise_for_status()
