"""`calltag up`: everything on one machine, as separate processes that live and end together."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import structlog

from cli.admin_token import token_file, with_admin_token
from cli.errors import UserError
from cli.parts import prepare, read_settings, sweeper, web, worker
from cli.supervisor import Part, supervise
from cli.valkey import embedded
from worker import log
from worker.checks import no_account
from worker.settings import Settings


def up(config: Path | None) -> None:
    """Runs web, worker, sweeper and, without a Redis of one's own, Valkey, until SIGINT or SIGTERM."""
    settings = read_settings(config)
    with alone(settings.data_dir):
        check_port_is_free(settings.host, settings.port)
        settings, token_is_new = with_admin_token(settings)
        for line in greeting(settings, token_is_new):
            print(line, flush=True)
        log.configure(settings, "up")
        prepare(settings)
        supervise(parts(settings, config), structlog.get_logger().warning)


@contextmanager
def alone(data_dir: Path) -> Iterator[None]:
    """Makes the data folder and holds it; raises `UserError` when another `calltag up` has it."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (data_dir / "up.lock").open("a+")
    except OSError as fault:
        raise UserError(f"CALLTAG_DATA_DIR: {data_dir} cannot be used: {fault.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(f"another `calltag up` (process {file.read()}) runs on {data_dir}") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def check_port_is_free(host: str, port: int) -> None:
    """Raises `UserError` when the address cannot be listened on."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as fault:
        raise UserError(
            f"port {port} on {host} cannot be used ({fault.strerror}); "
            "end what has it, or set CALLTAG_HOST and CALLTAG_PORT"
        ) from None


def parts(settings: Settings, config: Path | None) -> list[Part]:
    """What `up` runs, in the order of starting."""
    own = [
        Part("sweeper", partial(sweeper, config)),
        Part("worker", partial(worker, config, "live"), grace=60.0),
        Part("batch", partial(worker, config, "batch"), grace=60.0),
        Part("web", partial(web, config)),
    ]
    if settings.redis_url:
        return own
    valkey = embedded(settings.data_dir)
    hint = f"; its log is {valkey.log}, and {valkey.folder} keeps nothing that cannot be lost"
    return [Part("valkey", valkey.argv(), ready=valkey.answers, hint=hint), *own]


def greeting(settings: Settings, token_is_new: bool) -> Iterator[str]:
    """What a person sees at the start; the token only when it was made just now."""
    address = settings.public_url or f"http://{settings.host}:{settings.port}"
    yield f"calltag: the pages are at {address}, data in {settings.data_dir}"
    if token_is_new and settings.admin_token:
        yield f"calltag: the admin token, shown this once and kept in {token_file(settings)}:"
        yield settings.admin_token.get_secret_value()
    if not settings.accounts:
        yield f"calltag: no webhook is taken: {no_account()}"
