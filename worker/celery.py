"""The Celery application: how it is set up, and its tasks.

The broker only wakes workers; the rows say what is due. So a lost message costs time and nothing else, and
a task takes the ids of calls at most.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import redis
import structlog
from celery import Celery, signals
from kombu.exceptions import OperationalError

from store.database import Unavailable
from store.jobs import Place
from worker import log as logs
from worker.context import Worker, redis_client
from worker.intake import take_in
from worker.places import Places
from worker.process import die_with_parent
from worker.rate import REDIS_AWAY
from worker.retag.drive import drive
from worker.settings import Settings
from worker.tagging import tag

LIVE = "live"
BATCH = "batch"
CHUNK = 64
"""Calls in one message."""
BEHIND_LIVE = 10
"""By how much the niceness of a re-tagging process is over that of the others: live calls go first at the
processor too."""
VISIBILITY = 600
WOKEN = "calltag:woken"
"""Stands in Redis while a message of new events waits: until a worker takes it up, one is enough."""
UNHEARD = 1.0
"""Seconds after which such a message counts as lost, and another one is sent."""

log = structlog.get_logger()


def create_celery(settings: Settings) -> Celery:
    """The application for publishing and for working; makes no connection yet."""
    app = Celery("calltag", broker=settings.broker, set_as_current=False)
    app.conf.update(_configuration(settings.broker))
    return app


def _configuration(broker: str) -> dict[str, Any]:
    transport: dict[str, Any] = {"socket_connect_timeout": 2}
    if broker.startswith("redis"):
        transport = {
            "visibility_timeout": VISIBILITY,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 3,
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "health_check_interval": 10,
            "global_keyprefix": "calltag:",
        }
    elif broker.startswith("amqp"):
        transport = {"confirm_publish": True, "connect_timeout": 2, "read_timeout": 5, "write_timeout": 5}
    transport["max_retries"] = 0  # of who publishes; a worker comes back for ever
    return {
        "task_acks_late": True,
        "worker_prefetch_multiplier": 1,
        "task_reject_on_worker_lost": False,  # it would loop; the rows drive a deadly call again
        "visibility_timeout": VISIBILITY,
        "broker_transport_options": transport,
        "task_time_limit": 120,
        "task_soft_time_limit": 90,
        "broker_connection_max_retries": None,
        "broker_connection_retry_on_startup": True,
        "task_publish_retry": False,  # the sweeper sends again what could not be sent
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        # a task whose broker is away goes on: it would be killed in the middle of its writes, and its calls
        # would wait for their leases to end
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_consumer": "worker.consumer:LastingConsumer",
        "worker_hijack_root_logger": False,
        # nobody steers workers from afar; on RabbitMQ two of one machine would lock each other out
        "worker_enable_remote_control": False,
        "task_default_queue": LIVE,
        "task_default_queue_type": "quorum" if broker.startswith("amqp") else None,
    }


class CeleryMessages:
    """Messages to the workers. One that cannot be sent is no fault: the sweeper sends again what is due."""

    def __init__(self, app: Celery, shared: redis.Redis | None = None) -> None:
        """`shared` is where processes note that a message of new events waits."""
        self._app = app
        self._shared = shared
        self._away_until = 0.0
        self.reachable = True
        """Whether the last message could be sent."""

    def send(self, calls: Sequence[int]) -> None:
        """See `worker.context.Messages`. After the first that cannot be sent it waits for no other."""
        for start in range(0, len(calls), CHUNK):
            if not self._publish("calltag.tag", {"calls": list(calls[start : start + CHUNK])}):
                return

    def wake(self) -> None:
        """See `worker.context.Messages`."""
        if self._note(lambda shared: shared.set(WOKEN, 1, nx=True, px=int(UNHEARD * 1000))):
            self._publish("calltag.intake", {})

    def heard(self) -> None:
        """A message of new events is taken up: what comes from now on needs another one."""
        self._note(lambda shared: shared.delete(WOKEN))

    def _note(self, step: Callable[[redis.Redis], object]) -> bool:
        """What Redis says to it; True while it is away, when it is asked for some seconds no more."""
        if self._shared is None or time.monotonic() < self._away_until:
            return True
        try:
            return bool(step(self._shared))
        except redis.RedisError:
            self._away_until = time.monotonic() + REDIS_AWAY
            return True

    def drive(self, place: Place) -> bool:
        """See `worker.context.Messages`."""
        return self._publish("calltag.retag", asdict(place), BATCH)

    def _publish(self, name: str, arguments: dict[str, Any], queue: str = LIVE) -> bool:
        try:
            self._app.send_task(name, kwargs=arguments, queue=queue)
        except (OperationalError, OSError) as fault:
            if self.reachable:
                log.warning("the broker cannot be reached", fault=type(fault).__name__)
            self.reachable = False
        else:
            self.reachable = True
        return self.reachable


def work(worker: Worker, messages: CeleryMessages) -> None:
    """Links new events to their calls and tags those that are due by it; hands on what is too much."""
    intake = take_in(worker.database, worker.settings.accounts, time.time())
    if intake.more:
        messages.wake()
    if intake.due:
        worker.read = intake.read
        try:
            tag(worker, intake.due)
        finally:
            worker.read = {}


def _guarded(step: Callable[[], None]) -> None:
    """A database that is away is told in a line: what was to be done stays due."""
    try:
        step()
    except Unavailable as fault:
        log.warning("the database cannot be used now", fault=str(fault))


def create_worker(settings: Settings, queue: str = LIVE) -> Celery:
    """The application with its tasks, for a worker of that queue.

    Each pool process gets a `Worker` of its own after the fork.
    """
    app = create_celery(settings)
    messages = CeleryMessages(app, redis_client(settings))
    places = Places(settings.accounts)
    process: list[Worker] = []
    part = "worker" if queue == LIVE else queue

    def start(**_: Any) -> None:
        die_with_parent(os.getppid())
        if queue == BATCH:
            os.nice(BEHIND_LIVE)
        logs.configure(settings, part)
        process.append(Worker(settings, messages, part, shared=places))

    def stop(**_: Any) -> None:
        process.pop().close()

    signals.worker_process_init.connect(start, weak=False)
    signals.worker_process_shutdown.connect(stop, weak=False)
    signals.setup_logging.connect(lambda **_: logs.configure(settings, part), weak=False)

    @app.task(name="calltag.intake")
    def intake(**_: Any) -> None:
        messages.heard()
        _guarded(lambda: work(process[0], messages))

    @app.task(name="calltag.tag")
    def tag_calls(calls: Sequence[int] = (), **_: Any) -> None:
        _guarded(lambda: tag(process[0], calls))

    @app.task(name="calltag.retag")
    def retag(job: int = 0, name: str = "", token: str = "", **_: Any) -> None:
        _guarded(lambda: drive(process[0], Place(job, name, token)))

    return app
