"""Opening the database: SQLite in the data folder, or PostgreSQL; the same statements run on both."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError

HEAD = "0001"
"""The newest migration."""
MIGRATING = 7_302_611  # any number: PostgreSQL's advisory locks are numbers
INTAKE = 7_302_612
NORMAL, FULL = 1, 2
"""What SQLite's `synchronous` is: with the second a commit waits for the disk."""


class Unavailable(Exception):
    """The database does not take or give anything now; nothing was written."""


class Database:
    """One process's way to the store.

    `busy` is how many seconds a write waits for another one. Both transactions raise `Unavailable` when
    the database cannot be used now.
    """

    def __init__(self, url: str, busy: float = 30.0) -> None:
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self.engine = _sqlite(url, busy) if self.is_sqlite else _postgresql(url, busy)
        one_state = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reader = self.engine.execution_options(**one_state)
        self._writer = self.engine.execution_options(calltag_writes=FULL)
        self._rewriter = self.engine.execution_options(calltag_writes=NORMAL)

    @contextmanager
    def write(self, repeatable: bool = False) -> Iterator[Connection]:
        """A transaction that writes: all of it is committed at the end, or nothing.

        One that is `repeatable` does not wait for the disk. Should the machine lose its power at once, it is
        undone, together with what was committed after it in the same way; it never is once another one has
        waited. So it is for what follows from other rows, and would then be done again.
        """
        writer = self._rewriter if repeatable else self._writer
        with _explained(), writer.connect() as connection, connection.begin():
            if repeatable and not self.is_sqlite:
                connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database throughout."""
        with _explained(), self._reader.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def _explained() -> Iterator[None]:
    """Raises `Unavailable` for what may pass by itself; a mistake in a statement stays what it is.

    The text is the driver's first line only: the rest quotes parameters.
    """
    try:
        yield
    except TimeoutError as fault:  # of the pool
        raise Unavailable("all connections to the database are in use") from fault
    except DBAPIError as fault:
        passing = isinstance(fault, OperationalError | InterfaceError) or fault.connection_invalidated
        if not passing and type(fault.orig).__name__ not in PASSING:
            raise
        lines = str(fault.orig).splitlines()
        raise Unavailable(lines[0] if lines else type(fault.orig).__name__) from fault


PASSING = ("DatabaseError", "ReadOnlySqlTransaction")
"""Faults beside the driver's operational ones: a damaged SQLite file, a PostgreSQL server on standby."""


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _sqlite(url: str, busy: float) -> Engine:
    path = Path(make_url(url).database or "")
    engine = create_engine(
        url,
        connect_args={"timeout": busy, "check_same_thread": False},
        pool_timeout=busy,
        json_serializer=_json,
        json_deserializer=orjson.loads,
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def make(*_: object) -> None:
        try:
            _make_private(path)
        except OSError as fault:
            raise sqlite3.OperationalError(f"{path} cannot be used: {fault.strerror}") from None

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        _use_log(connection, busy)
        for pragma in (
            f"synchronous={FULL}",
            "foreign_keys=ON",
            "mmap_size=0",
            "wal_autocheckpoint=0",  # the sweeper alone checkpoints
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("calltag_writes")
        _set(connection, "busy_timeout", 0 if writes else int(busy * 1000))
        if writes:
            _set(connection, "synchronous", writes)
            _begin_writing(connection, busy)
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


LOOK_AGAIN = 0.001
"""Seconds between two looks whether SQLite's write lock is free: SQLite's own grow to a tenth of a second, in
which the lock changes hands many times among those that came later."""


def _begin_writing(connection: Connection, busy: float) -> None:
    ends = time.monotonic() + busy
    driver: Any = connection.connection.driver_connection
    while time.monotonic() < ends:
        try:
            driver.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # the rest tells of which kind
                break
        time.sleep(LOOK_AGAIN)
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # what is in the way is told as of any statement


def _set(connection: Connection, pragma: str, value: int) -> None:
    """Sets it for that connection, which keeps it; not within a transaction."""
    if connection.info.get(pragma) != value:
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA {pragma}={value}")
        connection.info[pragma] = value


def _use_log(connection: sqlite3.Connection, busy: float) -> None:
    """Turns the write-ahead log on, for which SQLite waits for nobody who does so at the same time."""
    ends = time.monotonic() + busy
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= ends:
                raise
            time.sleep(0.01)
        else:
            return


def _make_private(path: Path) -> None:
    """Makes an empty database file that only its owner can read; SQLite's files beside it take its mode."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _postgresql(url: str, busy: float) -> Engine:
    limits = {
        "lock_timeout": int(busy * 1000),
        "statement_timeout": 30_000,
        "idle_in_transaction_session_timeout": 30_000,  # a frozen process must not hold up the fleet
    }
    return create_engine(
        url,
        connect_args={
            "connect_timeout": 2,
            "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
            "tcp_user_timeout": 10_000,  # a server that is gone without a word
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
        pool_timeout=busy,
        pool_pre_ping=True,
        json_serializer=_json,
        json_deserializer=orjson.loads,
        hide_parameters=True,
    )


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT of this database's dialect, which knows ON CONFLICT."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def storable(number: str | None) -> str | None:
    """A number as columns have it: PostgreSQL takes no NUL and no more than the column's 64 characters."""
    return None if number is None else number.replace("\0", "")[:64]


def lock(connection: Connection, number: int) -> None:
    """One holder at a time until the transaction ends; on SQLite a writing transaction is that already."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def migrate(database: Database) -> None:
    """Brings the tables to the newest form; harmless when they are, and when several processes do it."""
    if _version(database) == HEAD:
        return
    from alembic import command  # 0.3 s: only where there is something to do
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with database.write() as connection:
        lock(connection, MIGRATING)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _version(database: Database) -> str | None:
    with database.read() as connection:
        if not database.engine.dialect.has_table(connection, "alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def checkpoint(database: Database) -> None:
    """Moves SQLite's write-ahead log into the database file; the sweeper does this, nobody else.

    Raises `Unavailable`.
    """
    if database.is_sqlite:
        with database.read() as connection:  # a transaction that has read nothing yet holds nothing
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
