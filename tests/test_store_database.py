"""Opening the database: the tables, the transactions, and every way in which it may be away."""

import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, insert, make_url, text

from store import inbox
from store.counters import count, counts
from store.database import HEAD, Database, Unavailable, checkpoint, migrate
from store.schema import counters, metadata
from tests.rows import arrival

MIGRATE = """
import sys
from store.database import Database, migrate
import alembic.command
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate(database)
migrate(database)
"""
LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
"""
FILL = """
import resource, sys
from store import inbox
from store.database import Database, Unavailable
from store.inbox import Arrival
database = Database(sys.argv[1])
def accept(n):
    with database.write() as connection:
        inbox.accept(connection, [Arrival("sipsim", bytes([n]) * 100_000, 1.0, 1.0)])
accept(0)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
kept, refused = 1, ""
for n in range(1, 10):
    try:
        accept(n)
        kept += 1
    except Unavailable as fault:
        refused = str(fault)
        break
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
accept(100)
print(kept + 1, refused)
"""


def sqlite_database(tmp_path: Path, busy: float = 0.2) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'calltag.db'}", busy=busy)
    migrate(database)
    return database


def unavailable(database: Database, write: bool = True) -> str:
    """The text of the `Unavailable` that the next transaction raises."""
    with pytest.raises(Unavailable) as fault, (database.write if write else database.read)() as connection:
        connection.execute(text("SELECT 1"))
    return str(fault.value)


def test_the_migrations_give_the_tables_of_the_schema(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD


def test_the_newest_migration_is_the_one_that_the_store_asks_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "store" / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_several_processes_may_migrate_at_once(empty_database_url: str) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, empty_database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in started] == [b""] * 4
    assert [process.returncode for process in started] == [0] * 4
    database = Database(empty_database_url)
    with database.read() as connection:
        assert counts(connection) == {}
    database.close()


def test_a_write_is_all_or_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            count(connection, {"a": 1})
            connection.execute(text("SELECT no_such_column FROM counters"))

    with pytest.raises(Exception, match="no_such_column"):
        fail()
    with database.read() as connection:
        assert counts(connection) == {}


def test_a_reader_sees_one_state_throughout(database_url: str, database: Database) -> None:
    other = Database(database_url)
    with database.read() as connection:
        before = counts(connection)
        with other.write() as writing:
            count(writing, {"a": 1})
        assert counts(connection) == before == {}
    with database.read() as connection:
        assert counts(connection) == {"a": 1}
    other.close()


def test_a_mistake_in_a_statement_is_not_called_unavailable(database: Database) -> None:
    twice = [{"name": "a", "value": 1}, {"name": "a", "value": 2}]
    with (
        pytest.raises(Exception, match=r"IntegrityError|UniqueViolation") as fault,
        database.write() as connection,
    ):
        connection.execute(insert(counters), twice)
    assert not isinstance(fault.value, Unavailable)


def test_connections_that_are_all_in_use_are_unavailable_after_the_wait(database_url: str) -> None:
    database = Database(database_url, busy=0.2)
    held = [database.engine.connect() for _ in range(15)]
    assert "in use" in unavailable(database, write=False)
    for connection in held:
        connection.close()
    with database.read() as connection:
        connection.execute(text("SELECT 1"))
    database.close()


def lock(path: Path) -> subprocess.Popen[bytes]:
    """Another process that holds SQLite's write lock until it is told to go on."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"locked\n"
    return process


def test_a_locked_sqlite_is_unavailable_for_writing_and_readable(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path)
    locker = lock(tmp_path / "calltag.db")
    began = time.monotonic()
    assert "locked" in unavailable(database)
    assert 0.15 < time.monotonic() - began < 2.0
    with database.read() as connection:
        assert counts(connection) == {}
    locker.communicate(b"go\n")
    with database.write() as connection:
        count(connection, {"a": 1})
    database.close()


def test_a_writing_sqlite_transaction_holds_the_lock_from_its_beginning(tmp_path: Path) -> None:
    one, other = sqlite_database(tmp_path), sqlite_database(tmp_path)
    with one.write():
        assert "locked" in unavailable(other)
    one.close()
    other.close()


def pragmas(connection: Connection, names: Iterable[str]) -> dict[str, object]:
    return {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in names}


def test_on_postgresql_only_what_can_be_repeated_does_not_wait_for_the_disk(postgres_url: str) -> None:
    database = Database(postgres_url)
    for repeatable, wanted in ((True, "off"), (False, "on")):
        with database.write(repeatable) as connection:
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == wanted
    database.close()


def test_sqlite_is_set_up_to_lose_nothing(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path, busy=3.5)
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "wal_autocheckpoint": 0,
        "mmap_size": 0,
        "busy_timeout": 3500,
    }
    with database.write() as connection:
        assert pragmas(connection, wanted) == {**wanted, "busy_timeout": 0}, "it has waited before it began"
    with database.write(repeatable=True) as connection:
        assert pragmas(connection, wanted) == {**wanted, "busy_timeout": 0, "synchronous": 1}
    with database.write() as connection:
        assert pragmas(connection, wanted)["synchronous"] == 2
    with database.read() as connection:
        assert pragmas(connection, wanted) == wanted
    database.close()


def test_an_sqlite_that_has_reached_its_size_is_unavailable_and_recovers(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path)

    @event.listens_for(database.engine, "begin")
    def limit(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    pages = 60
    body = "+33612345678 " * 20_000
    with pytest.raises(Unavailable) as fault, database.write() as connection:
        inbox.accept(connection, [arrival(body)])
    assert "full" in str(fault.value)
    assert "+336" not in str(fault.value)
    pages = 10_000
    with database.write() as connection:
        assert inbox.accept(connection, [arrival(body)]) == [True]
    database.close()


def test_a_full_disk_is_unavailable_and_recovers(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path)
    child = subprocess.run(
        [sys.executable, "-c", FILL, f"sqlite:///{tmp_path / 'calltag.db'}"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    kept, _, refused = child.stdout.strip().partition(" ")
    assert refused
    with database.read() as connection:
        assert inbox.number(connection, "new") == int(kept)
    database.close()


def test_the_message_of_a_mistake_holds_no_parameters(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.execute(text("SELECT no_such_column, :number"), {"number": "+33612345678"})

    with pytest.raises(Exception, match="no_such_column") as fault:
        fail()
    assert "+336" not in str(fault.value)


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    database = Database(f"sqlite:///{tmp_path / 'file' / 'calltag.db'}")
    assert "file" in unavailable(database)


def test_a_damaged_sqlite_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "calltag.db").write_bytes(b"no database at all" * 100)
    assert "not a database" in unavailable(Database(f"sqlite:///{tmp_path / 'calltag.db'}"))


def test_the_sqlite_files_are_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    folder.parent.mkdir(mode=0o755)
    database = sqlite_database(folder)
    with database.write() as connection:
        count(connection, {"a": 1})
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes == {"calltag.db": 0o600, "calltag.db-wal": 0o600, "calltag.db-shm": 0o600}
    database.close()


def test_a_checkpoint_moves_the_log_into_the_file_and_nothing_else_does(tmp_path: Path) -> None:
    database, path = sqlite_database(tmp_path), tmp_path / "calltag.db"
    checkpoint(database)
    size = path.stat().st_size
    for n in range(40):
        with database.write() as connection:
            inbox.accept(connection, [arrival(f"{n} " * 20_000)])
    assert path.stat().st_size == size
    checkpoint(database)
    assert path.stat().st_size > size + 1_000_000
    with database.write() as connection:
        assert inbox.accept(connection, [arrival("more")]) == [True]
    database.close()


def test_a_checkpoint_that_fails_is_told_as_unavailable(tmp_path: Path) -> None:
    (tmp_path / "calltag.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(Unavailable):
        checkpoint(Database(f"sqlite:///{tmp_path / 'calltag.db'}"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_postgresql_that_is_down_is_unavailable_in_one_line_without_the_password() -> None:
    url = f"postgresql+psycopg://calltag:hidden-password@127.0.0.1:{free_port()}/calltag"
    database = Database(url)
    message = unavailable(database)
    assert "hidden-password" not in message
    assert "\n" not in message
    with pytest.raises(Unavailable):
        migrate(database)


def test_a_postgresql_that_does_not_answer_is_unavailable_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        database = Database(f"postgresql+psycopg://calltag@127.0.0.1:{frozen.getsockname()[1]}/calltag")
        began = time.monotonic()
        unavailable(database)
        assert time.monotonic() - began < 6.0


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, busy=0.3)
    migrate(database)
    yield database
    database.close()


def test_a_postgresql_row_that_another_holds_is_unavailable_after_the_wait(
    postgres: Database, postgres_url: str
) -> None:
    with postgres.write() as connection:
        count(connection, {"+33612345678": 1})
    other = Database(postgres_url, busy=0.3)
    with postgres.write() as connection:
        count(connection, {"+33612345678": 1})
        with pytest.raises(Unavailable) as fault, other.write() as waiting:
            count(waiting, {"+33612345678": 1})
    assert "lock timeout" in str(fault.value)
    assert "+336" not in str(fault.value)
    assert "\n" not in str(fault.value)
    other.close()


def test_a_postgresql_that_was_restarted_is_used_again_at_once(postgres: Database, postgres_url: str) -> None:
    with postgres.read() as connection:
        connection.execute(text("SELECT 1"))
    dsn = make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
    others = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE pid <> pg_backend_pid() AND datname = current_database()"""
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(others.encode())
    with postgres.write() as connection:
        count(connection, {"a": 1})

    def cut() -> None:
        with postgres.write() as connection:
            with psycopg.connect(dsn, autocommit=True) as admin:
                admin.execute(others.encode())
            count(connection, {"a": 1})

    with pytest.raises(Unavailable):
        cut()
    with postgres.read() as connection:
        assert counts(connection) == {"a": 1}


def test_a_postgresql_connection_waits_for_nothing_without_end(postgres: Database) -> None:
    with postgres.read() as connection:
        found = {
            name: connection.execute(text(f"SHOW {name}")).scalar()
            for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        }
    assert found == {
        "lock_timeout": "300ms",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "30s",
    }
