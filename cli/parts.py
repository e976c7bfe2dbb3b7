"""The commands that run one part of calltag: web, worker or sweeper."""

import gc
import os
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from cli.errors import UserError
from worker.settings import Settings, SettingsError, load_settings

PROCESSES = 2
"""Of a worker, at least; each has many requests to a platform under way at once. Of a re-tagging job one
process lists calls while the other one changes some."""


def read_settings(config: Path | None) -> Settings:
    """The settings from the environment, `.env` and the configuration file; a wrong one is a `UserError`."""
    try:
        return load_settings(config)
    except SettingsError as fault:
        raise UserError(str(fault)) from None


def need_database(settings: Settings, missing: str) -> None:
    """Raises `UserError` where SQLite's file is not there: `missing`, in which {} stands for the file."""
    from sqlalchemy import make_url

    url = make_url(settings.database)
    if url.get_backend_name() != "sqlite":
        return
    try:
        Path(url.database or "").stat()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(missing.format(url.database)) from None
    except OSError as fault:
        raise UserError(f"the database {url.database} cannot be used: {fault.strerror}") from None


def web(config: Path | None) -> None:
    """Receives webhooks and serves the API until SIGTERM."""
    import uvicorn

    from cli.admin_token import with_admin_token
    from web.app import create_app
    from worker import log

    settings, _ = with_admin_token(read_settings(config))
    log.configure(settings, "web")
    migrated(settings)
    sys.setswitchinterval(0.001)  # s: a commit's thread has to get its turn beside the event loop
    app = create_app(settings)
    freeze()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


def worker(config: Path | None, queue: str) -> None:
    """Tags calls (live) or re-tags past ones (batch) until SIGTERM.

    It lets the tasks that run end; a lease bounds each of them.
    """
    from celery.exceptions import CPendingDeprecationWarning, SecurityWarning

    from worker.celery import create_worker

    warnings.simplefilter("ignore", SecurityWarning)  # it is about root and pickle; JSON alone is accepted
    warnings.simplefilter("ignore", CPendingDeprecationWarning)  # that tasks outlive their broker is wanted
    settings = read_settings(config)
    migrated(settings)
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    create_worker(settings, queue).worker_main(
        [
            "--quiet",
            "worker",
            "--hostname",
            f"{queue}-{os.getpid()}@%h",
            "--queues",
            queue,
            "--concurrency",
            str(max(PROCESSES, len(settings.accounts))),  # one platform may hold one of them
            *quiet,
        ]
    )


def sweeper(config: Path | None) -> None:
    """Wakes what is due and watches the rules until SIGTERM."""
    from worker.sweeper import run

    settings = read_settings(config)
    migrated(settings)
    run(settings)


MODULES = (
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.strategy",
    "kombu.transport.redis",
    "sqlalchemy.dialects.sqlite",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "web.app",
    "worker.celery",
    "worker.consumer",
    "worker.sweeper",
)
"""What the parts import at their start, most of their memory and of the time until they are ready."""


def prepare(settings: Settings) -> None:
    """Does once, before the parts are forked, what each of them would do; a database that cannot be used now
    is theirs to tell of."""
    for name in MODULES:
        import_module(name)
    with suppress(UserError):
        migrated(settings)
    freeze()


def freeze() -> None:
    """Leaves all that is there now out of collections, which would go through it, and, as they touch it, undo
    that forks share it."""
    gc.collect()
    gc.freeze()


def migrated(settings: Settings) -> None:
    """Brings the database to the newest form; raises `UserError` when it cannot be used."""
    from store.database import Database, Unavailable, migrate

    database = Database(settings.database)
    try:
        migrate(database)
    except Unavailable as fault:
        raise UserError(f"the database cannot be used: {fault}") from None
    finally:
        database.close()
