"""What tests share: a real Valkey, and the servers that some tests need and a machine may lack."""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import redis
from hypothesis import settings
from sqlalchemy import URL, make_url

from cli.valkey import Valkey, embedded
from store.database import Database, migrate
from tests.waiting import eventually
from worker.process import tied

if TYPE_CHECKING:
    from tests.worker_bench import Bench

pytest.register_assert_rewrite("tests.service")

# the same examples each time: what a test says depends on the code alone; CALLTAG_TEST_RANDOM=1 looks further
settings.register_profile("suite", derandomize=True, database=None, deadline=None)
if not os.environ.get("CALLTAG_TEST_RANDOM"):
    settings.load_profile("suite")

FAULTS = Path(__file__).parent / "faults"

# a shell that starts the tests in the background has it ignored, and what a test starts would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FAULTS in item.path.parents:
            item.add_marker("faults")


@contextmanager
def running_valkey(data_dir: Path) -> Iterator[Valkey]:
    """An embedded Valkey server in a data folder, for as long as the block lasts."""
    server = embedded(data_dir)
    process = subprocess.Popen(tied(server.argv()))
    try:
        eventually(server.answers, "Valkey answers")
        yield server
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One Valkey server for all tests of a test process; most take it by `valkey`."""
    with running_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(shared_valkey: Valkey) -> Valkey:
    """A running Valkey server, empty: `.url` for redis-py, `.broker_url` for Celery."""

    with redis.Redis.from_url(shared_valkey.url) as client:
        client.flushall()
    return shared_valkey


@pytest.fixture
def start_valkey() -> Iterator[Callable[[Path], Valkey]]:
    """Starts a Valkey server of the test's own in a folder; all end with the test."""
    with ExitStack() as servers:
        yield lambda data_dir: servers.enter_context(running_valkey(data_dir))


def _given(name: str, what: str) -> str:
    """The address in the environment; without one the test is skipped, or fails where that is forbidden."""
    if url := os.environ.get(name):
        return url
    message = f"{name} is not set: the test needs {what}"
    if os.environ.get("CALLTAG_TEST_NO_SKIP") == "1":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """One test at a time, over all test processes of this user, on a server that they share."""
    path = Path(tempfile.gettempdir()) / f"calltag-test-{os.getuid()}-{name}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _postgres(template: str = "template1") -> Iterator[URL]:
    """A new database on the PostgreSQL server of CALLTAG_TEST_POSTGRES_URL, a copy of that one."""
    server = make_url(_given("CALLTAG_TEST_POSTGRES_URL", "PostgreSQL")).set(drivername="postgresql")
    name = f"calltag_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        try:
            yield server.set(drivername="postgresql+psycopg", database=name)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A new, empty database on the PostgreSQL server of CALLTAG_TEST_POSTGRES_URL, as SQLAlchemy takes it."""
    with _postgres() as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres_with_tables() -> Iterator[str]:
    """The name of a database with the tables and nothing in them, to be copied: to make them takes longer."""
    with _postgres() as url:
        made = Database(url.render_as_string(hide_password=False))
        migrate(made)
        made.close()
        assert url.database
        yield url.database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without tables: the test runs once on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'calltag.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a store with its tables and nothing in them: the test runs once on each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_database"), tmp_path / "calltag.db")
        yield f"sqlite:///{tmp_path / 'calltag.db'}"
    else:
        with _postgres(request.getfixturevalue("postgres_with_tables")) as url:
            yield url.render_as_string(hide_password=False)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A store with its tables and nothing in them, on each kind of database."""
    database = Database(database_url, busy=5.0)
    yield database
    database.close()


@pytest.fixture
def amqp_url() -> Iterator[str]:
    """The RabbitMQ server of CALLTAG_TEST_AMQP_URL, for this test alone; its queues are not emptied."""
    url = _given("CALLTAG_TEST_AMQP_URL", "RabbitMQ")
    with _alone("amqp"):
        yield url


@pytest.fixture
def separate_redis_url() -> Iterator[str]:
    """The Redis database of CALLTAG_TEST_REDIS_URL, emptied, for this test alone."""

    url = _given("CALLTAG_TEST_REDIS_URL", "a Redis database that may be emptied")
    with _alone("redis"), redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of the newest form, to be copied."""
    from tests.worker_bench import empty_database  # it loads much that most tests do not need

    return empty_database(tmp_path_factory.mktemp("database"))


@pytest.fixture
def make_bench(tmp_path: Path, valkey: Valkey, empty_database: Path) -> Iterator[Callable[..., "Bench"]]:
    """Makes a worker with its platform and database; takes the platform's `Config` and settings by name."""
    from platforms.sipsim.simulator import Config
    from tests.worker_bench import bench

    with ExitStack() as stack:

        def make(config: Config | None = None, **more: Any) -> "Bench":
            folder = tmp_path / f"bench-{uuid.uuid4().hex[:6]}"
            folder.mkdir()
            return stack.enter_context(
                bench(folder, valkey.url, config or Config(), empty=empty_database, **more)
            )

        yield make
