"""The embedded Valkey server."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from kombu import Connection

from cli.errors import UserError
from cli.valkey import Valkey, embedded
from tests.conftest import running_valkey
from worker.settings import load_settings

Start = Callable[[Path], Valkey]


def test_both_of_its_addresses_work_in_a_folder_with_odd_letters(start_valkey: Start, tmp_path: Path) -> None:
    server = start_valkey(tmp_path / "a b#c%20d?é")
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()
    with Connection(server.broker_url) as connection:
        connection.ensure_connection(max_retries=1, timeout=5)


def test_the_settings_lead_to_it(start_valkey: Start, tmp_path: Path) -> None:
    server = start_valkey(tmp_path / "a b#c%20d")
    settings = load_settings(environ={"CALLTAG_DATA_DIR": str(tmp_path / "a b#c%20d")})
    assert (settings.redis, settings.broker) == (server.url, server.broker_url)


def test_it_keeps_what_it_was_given_and_never_evicts(tmp_path: Path) -> None:
    with running_valkey(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    with running_valkey(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"yes"


def test_only_its_owner_can_open_its_socket_and_its_folder(start_valkey: Start, tmp_path: Path) -> None:
    server = start_valkey(tmp_path / "data")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (server.socket, server.folder, tmp_path / "data")]
    assert modes == [0o700, 0o700, 0o700]


def test_a_long_folder_has_its_socket_in_a_private_one_under_the_temporary_one(tmp_path: Path) -> None:
    folders = [tmp_path / ("long" * 30), tmp_path / ("long" * 31)]
    short = [embedded(folder).socket.parent for folder in folders]
    try:
        assert short[0] != short[1]
        with running_valkey(folders[0]) as server:
            assert len(os.fsencode(server.socket)) <= 100
            assert server.socket.parent.parent == Path(tempfile.gettempdir())
            assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
    finally:
        for folder in short:
            shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["open to others", "a link"])
def test_a_temporary_folder_that_is_not_private_is_refused(tmp_path: Path, kind: str) -> None:
    data_dir = tmp_path / ("long" * 30)
    folder = embedded(data_dir).socket.parent
    folder.rmdir()
    if kind == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.mkdir(mode=0o755)
    try:
        with pytest.raises(UserError, match="only this user can open"):
            embedded(data_dir)
    finally:
        folder.unlink() if kind == "a link" else folder.rmdir()
