"""The settings: where they come from, who wins, and that a wrong one is named in one line."""

import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import make_url

from cli.valkey import embedded
from platforms.sipsim.settings import SipsimSettings
from store.database import Database, migrate
from worker.settings import Account, Settings, SettingsError, embedded_socket, load_settings

SECRET = "not-to-be-shown-anywhere"


def load(_config: Path | None = None, /, **values: str) -> Settings:
    """The settings of an environment in which these are set, by their names without CALLTAG_."""
    return load_settings(_config, {f"CALLTAG_{name}": value for name, value in values.items()})


def fault(values: Mapping[str, str], config: Path | None = None) -> str:
    with pytest.raises(SettingsError) as raised:
        load(config, **values)
    message = str(raised.value)
    assert "\n" not in message
    assert SECRET not in message
    return message


def sipsim(settings: Settings, name: str = "sipsim") -> SipsimSettings:
    own = settings.accounts[name].settings
    assert isinstance(own, SipsimSettings)
    return own


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "calltag.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_need_be_set() -> None:
    settings = load()
    assert (settings.data_dir, settings.rules) == (Path.cwd() / ".calltag", Path.cwd() / "rules.yaml")
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8000, "")
    assert (settings.max_body, settings.log_level, settings.log_format) == (4194304, "info", "console")
    assert (settings.default_region, settings.admin_token, settings.allow_http) == (None, None, False)
    assert settings.accounts == {}
    assert settings.database == f"sqlite:///{Path.cwd()}/.calltag/calltag.db"
    assert settings.redis == f"unix://{Path.cwd()}/.calltag/valkey.sock"
    assert settings.broker == f"redis+socket://{Path.cwd()}/.calltag/valkey.sock"


def test_every_common_setting_can_be_set() -> None:
    settings = load(
        DATA_DIR="/srv/calltag",
        DATABASE_URL="postgresql://calltag:pw@db:5432/calltag",
        REDIS_URL="rediss://:pw@redis:6379/3",
        BROKER_URL="amqp://user:pw@rabbit:5672//",
        RULES="/etc/calltag/rules",
        HOST="192.0.2.1",
        PORT="80",
        PUBLIC_URL="https://calltag.example.com/",
        DEFAULT_REGION="fr",
        ADMIN_TOKEN=SECRET,
        MAX_BODY="2048",
        LOG_LEVEL="Warning",
        LOG_FORMAT="JSON",
        ALLOW_HTTP="true",
    )
    assert (settings.data_dir, settings.rules) == (Path("/srv/calltag"), Path("/etc/calltag/rules"))
    assert settings.database == "postgresql+psycopg://calltag:pw@db:5432/calltag"
    assert settings.redis == "rediss://:pw@redis:6379/3"
    assert settings.broker == "amqp://user:pw@rabbit:5672//"
    assert (settings.host, settings.port, settings.max_body) == ("192.0.2.1", 80, 2048)
    assert settings.public_url == "https://calltag.example.com"
    assert (settings.log_level, settings.log_format) == ("warning", "json")
    assert (settings.default_region, settings.allow_http) == ("FR", True)
    assert settings.admin_token is not None
    assert settings.admin_token.get_secret_value() == SECRET


def test_every_setting_of_sipsim_can_be_set() -> None:
    own = sipsim(
        load(
            SIPSIM_BASE_URL="https://sipsim.example.com",
            SIPSIM_CLIENT_ID="an-id",
            SIPSIM_CLIENT_SECRET=SECRET,
            SIPSIM_WEBHOOK_SECRETS="new, old",
            SIPSIM_TIMESTAMP_TOLERANCE="60",
            SIPSIM_RATE="2.5",
            SIPSIM_CALL_LOOKUP="search",
            SIPSIM_TIME="start",
        )
    )
    assert (own.base_url, own.client_id, own.rate) == ("https://sipsim.example.com", "an-id", 2.5)
    assert [secret.get_secret_value() for secret in own.webhook_secrets] == ["new", "old"]
    assert (own.timestamp_tolerance, own.call_lookup, own.time) == (60.0, "search", "start")
    assert sipsim(load(SIPSIM_ACCESS_TOKEN=SECRET)).access_token is not None


def test_sipsims_defaults_are_those_of_the_readme() -> None:
    own = sipsim(load(SIPSIM_WEBHOOK_SECRETS="secret"))
    assert (own.base_url, own.rate, own.timestamp_tolerance) == ("https://app.sipsim.com", 10.0, 300.0)
    assert (own.call_lookup, own.time, own.client_id, own.access_token) == ("auto", "end", None, None)


def test_one_setting_of_a_platform_configures_its_account() -> None:
    settings = load(SIPSIM_WEBHOOK_SECRETS="secret", DEFAULT_REGION="FR")
    (account,) = settings.accounts.values()
    assert isinstance(account, Account)
    assert (account.name, account.platform.name) == ("sipsim", "sipsim")
    assert sipsim(settings).default_region == "FR"


def test_an_accounts_own_region_wins_over_the_common_one() -> None:
    assert sipsim(load(DEFAULT_REGION="FR", SIPSIM_DEFAULT_REGION="be")).default_region == "BE"


def test_several_accounts_of_one_platform_are_named() -> None:
    settings = load(
        ACCOUNTS="sipsim, sipsim-lyon,",
        SIPSIM_WEBHOOK_SECRETS="paris",
        SIPSIM_LYON_PLATFORM="sipsim",
        SIPSIM_LYON_WEBHOOK_SECRETS="lyon",
        SIPSIM_LYON_RATE="3",
    )
    assert list(settings.accounts) == ["sipsim", "sipsim-lyon"]
    assert settings.accounts["sipsim-lyon"].platform.name == "sipsim"
    secrets = [sipsim(settings, name).webhook_secrets[0].get_secret_value() for name in settings.accounts]
    assert secrets == ["paris", "lyon"]
    assert [sipsim(settings, name).rate for name in settings.accounts] == [10.0, 3.0]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"ACCOUNTS": "sipsim-lyon"}, "CALLTAG_SIPSIM_LYON_PLATFORM"),
        ({"ACCOUNTS": "sipsim-lyon", "SIPSIM_LYON_PLATFORM": "asterisk"}, "CALLTAG_SIPSIM_LYON_PLATFORM"),
        ({"ACCOUNTS": "Sipsim"}, "CALLTAG_ACCOUNTS: 'Sipsim'"),
        ({"ACCOUNTS": "sipsim lyon"}, "CALLTAG_ACCOUNTS: 'sipsim lyon'"),
        ({"ACCOUNTS": "sipsim_lyon"}, "CALLTAG_ACCOUNTS: 'sipsim_lyon'"),
        ({"ACCOUNTS": "../x"}, "CALLTAG_ACCOUNTS: '../x'"),
        ({"ACCOUNTS": "a" * 41}, "CALLTAG_ACCOUNTS"),
        ({"ACCOUNTS": "data", "DATA_PLATFORM": "sipsim"}, "CALLTAG_ACCOUNTS: 'data'"),
        ({"ACCOUNTS": "test", "TEST_PLATFORM": "sipsim"}, "CALLTAG_ACCOUNTS: 'test'"),
        ({"SIPSIM_LYON_WEBHOOK_SECRETS": SECRET}, "CALLTAG_SIPSIM_LYON_WEBHOOK_SECRETS is not a setting"),
        ({"ACCOUNTS": "sipsim", "SIPSIM_LYON_RATE": "1"}, "CALLTAG_SIPSIM_LYON_RATE is not a setting"),
    ],
)
def test_a_wrong_account_is_named(values: dict[str, str], named: str) -> None:
    assert named in fault(values)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("PORTT", "CALLTAG_PORT"),
        ("DATABASE", "CALLTAG_DATABASE_URL"),
        ("LOGLEVEL", "CALLTAG_LOG_LEVEL"),
        ("ACCOUNT", "CALLTAG_ACCOUNTS"),
        ("SIPSIM_WEBHOOK_SECRET", "CALLTAG_SIPSIM_WEBHOOK_SECRETS"),
        ("SIPSIM_CLIENTID", "CALLTAG_SIPSIM_CLIENT_ID"),
        ("SIPSM_CLIENT_SECRET", "CALLTAG_SIPSIM_CLIENT_SECRET"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_one(name: str, suggestion: str) -> None:
    message = fault({name: SECRET, "SIPSIM_RATE": "3"})
    assert message == f"CALLTAG_{name} is not a setting; did you mean {suggestion}?"


def test_an_unknown_name_that_is_near_to_none_is_told_alone() -> None:
    assert fault({"ZEBRA_CROSSING": "1"}) == "CALLTAG_ZEBRA_CROSSING is not a setting"


WRONG: list[tuple[dict[str, str], str]] = [
    ({"PORT": "many"}, "CALLTAG_PORT"),
    ({"PORT": "65536"}, "CALLTAG_PORT"),
    ({"PORT": "-1"}, "CALLTAG_PORT"),
    ({"MAX_BODY": "10"}, "CALLTAG_MAX_BODY"),
    ({"MAX_BODY": "4 MiB"}, "CALLTAG_MAX_BODY"),
    ({"LOG_LEVEL": "loud"}, "CALLTAG_LOG_LEVEL"),
    ({"LOG_FORMAT": "xml"}, "CALLTAG_LOG_FORMAT"),
    ({"ALLOW_HTTP": "perhaps"}, "CALLTAG_ALLOW_HTTP"),
    ({"PUBLIC_URL": "calltag.example.com"}, "CALLTAG_PUBLIC_URL"),
    ({"PUBLIC_URL": "ftp://calltag.example.com"}, "CALLTAG_PUBLIC_URL"),
    ({"PUBLIC_URL": "https://[::1"}, "CALLTAG_PUBLIC_URL"),
    ({"REDIS_URL": f"http://:{SECRET}@redis:6379"}, "CALLTAG_REDIS_URL"),
    ({"REDIS_URL": f"redis://:x/{SECRET}@redis:6379"}, "CALLTAG_REDIS_URL"),
    ({"REDIS_URL": f"redis://user:{SECRET}@redis:port/0"}, "CALLTAG_REDIS_URL"),
    ({"REDIS_URL": "redis://redis:6379/first"}, "CALLTAG_REDIS_URL"),
    ({"BROKER_URL": f"sqs://user:{SECRET}@queue"}, "CALLTAG_BROKER_URL"),
    ({"BROKER_URL": f"amqp://user:{SECRET}@rabbit:port//"}, "CALLTAG_BROKER_URL"),
    ({"DATABASE_URL": f"mysql://user:{SECRET}@db/calltag"}, "CALLTAG_DATABASE_URL"),
    ({"DATABASE_URL": f"postgresql://user:{SECRET}@db:port/calltag"}, "CALLTAG_DATABASE_URL"),
    ({"DATABASE_URL": "sqlite://calltag.db"}, "CALLTAG_DATABASE_URL"),
    ({"DATABASE_URL": "sqlite://"}, "CALLTAG_DATABASE_URL"),
    ({"DATABASE_URL": "sqlite:///:memory:"}, "CALLTAG_DATABASE_URL"),
    ({"DEFAULT_REGION": "France"}, "CALLTAG_DEFAULT_REGION"),
    ({"DEFAULT_REGION": "ZZ", "SIPSIM_RATE": "3"}, "CALLTAG_DEFAULT_REGION"),
    ({"ADMIN_TOKEN": "short"}, "CALLTAG_ADMIN_TOKEN: has fewer than 16 characters"),
    ({"ADMIN_TOKEN": f"{SECRET} é"}, "CALLTAG_ADMIN_TOKEN"),
    ({"DATA_DIR": "~nobody-of-this-name/calltag"}, "CALLTAG_DATA_DIR"),
    ({"SIPSIM_RATE": "fast"}, "CALLTAG_SIPSIM_RATE"),
    ({"SIPSIM_RATE": "0"}, "CALLTAG_SIPSIM_RATE"),
    ({"SIPSIM_TIMESTAMP_TOLERANCE": "-5"}, "CALLTAG_SIPSIM_TIMESTAMP_TOLERANCE"),
    ({"SIPSIM_CALL_LOOKUP": "guess"}, "CALLTAG_SIPSIM_CALL_LOOKUP"),
    ({"SIPSIM_TIME": "middle"}, "CALLTAG_SIPSIM_TIME"),
    ({"SIPSIM_BASE_URL": "sipsim"}, "CALLTAG_SIPSIM_BASE_URL"),
    ({"SIPSIM_BASE_URL": f"https://user:{SECRET}@app.sipsim.com"}, "CALLTAG_SIPSIM_BASE_URL"),
    ({"SIPSIM_CLIENT_ID": "an-id"}, "CALLTAG_SIPSIM_CLIENT_SECRET"),
    ({"SIPSIM_CLIENT_SECRET": SECRET}, "CALLTAG_SIPSIM_CLIENT_ID"),
    ({"SIPSIM_ACCESS_TOKEN": SECRET, "SIPSIM_CLIENT_ID": "an-id"}, "CALLTAG_SIPSIM_"),
    ({"SIPSIM_ACCESS_TOKEN": f"{SECRET} {SECRET}"}, "CALLTAG_SIPSIM_ACCESS_TOKEN"),
]


@pytest.mark.parametrize(
    ("values", "named"), WRONG, ids=[f"{n}-{next(iter(w[0]))}" for n, w in enumerate(WRONG)]
)
def test_a_wrong_setting_is_named_in_one_line_without_its_secret(values: dict[str, str], named: str) -> None:
    assert named in fault(values)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://sipsim.example.com", True),
        ("http://127.0.0.1:9000", True),
        ("http://localhost:9000", True),
        ("http://[::1]:9000", True),
        ("http://sipsim.example.com", False),
        ("http://simulator:9000", False),
        ("http://127.0.0.1.example.com", False),
    ],
)
def test_plain_http_is_refused_but_on_loopback_or_where_it_is_allowed(url: str, allowed: bool) -> None:
    if allowed:
        assert sipsim(load(SIPSIM_BASE_URL=url)).base_url == url
    else:
        assert "CALLTAG_SIPSIM_BASE_URL" in fault({"SIPSIM_BASE_URL": url})
        assert "https" in fault({"SIPSIM_BASE_URL": url})
    assert sipsim(load(SIPSIM_BASE_URL=url, ALLOW_HTTP="yes")).base_url == url


@pytest.mark.parametrize("level", ["debug", "Info", "WARNING", "eRRoR"])
def test_a_log_level_may_be_in_any_letter_case(level: str) -> None:
    assert load(LOG_LEVEL=level).log_level == level.lower()


def test_secrets_are_not_in_the_repr() -> None:
    settings = load(
        DATABASE_URL=f"postgresql://user:{SECRET}@db/calltag",
        REDIS_URL=f"redis://:{SECRET}@redis:6379/0",
        BROKER_URL=f"amqp://user:{SECRET}@rabbit//",
        ADMIN_TOKEN=SECRET,
        SIPSIM_CLIENT_ID="an-id",
        SIPSIM_CLIENT_SECRET=SECRET,
        SIPSIM_WEBHOOK_SECRETS=f"{SECRET},{SECRET}",
    )
    assert SECRET not in f"{settings!r} {settings}"
    assert SECRET not in repr(load(SIPSIM_ACCESS_TOKEN=SECRET))


def test_the_settings_cannot_be_changed() -> None:
    with pytest.raises(Exception, match="frozen"):
        load().port = 1


def test_names_that_the_tests_read_are_no_settings() -> None:
    assert load(TEST_POSTGRES_URL="anything", TEST_NO_SKIP="1") == load()


def test_names_of_others_are_left_alone() -> None:
    assert load_settings(None, {"PATH": "/bin", "calltag_port": "1", "CALLTAGS": "x"}) == load()


def test_spaces_around_a_value_are_no_part_of_it() -> None:
    assert load(PORT=" 9000 ").port == 9000


def test_an_empty_setting_is_the_default(tmp_path: Path) -> None:
    """So that `CALLTAG_REDIS_URL=` chooses the embedded server, whatever the file says."""
    path = toml(tmp_path, 'redis_url = "redis://redis:6379/0"')
    assert load(path).redis_url == "redis://redis:6379/0"
    assert load(path, REDIS_URL="").redis_url == ""
    assert load(PORT="", SIPSIM_RATE=" ").accounts == {}


def test_a_toml_file_names_the_same_settings(tmp_path: Path) -> None:
    path = toml(
        tmp_path,
        """
        port = 9000
        allow_http = true
        log_level = "DEBUG"
        accounts = ["sipsim", "sipsim-lyon"]
        [sipsim]
        base_url = "http://simulator:9000"
        webhook_secrets = ["new", "old"]
        rate = 2.5
        [sipsim-lyon]
        platform = "sipsim"
        client_id = "an-id"
        client_secret = "a-secret"
        """,
    )
    settings = load(path)
    assert (settings.port, settings.allow_http, settings.log_level) == (9000, True, "debug")
    assert (sipsim(settings).base_url, sipsim(settings).rate) == ("http://simulator:9000", 2.5)
    assert [secret.get_secret_value() for secret in sipsim(settings).webhook_secrets] == ["new", "old"]
    assert sipsim(settings, "sipsim-lyon").client_id == "an-id"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('prot = "9000"', "CALLTAG_PROT is not a setting; did you mean CALLTAG_PORT?"),
        ("[sipsim]\nraet = 3", "CALLTAG_SIPSIM_RAET is not a setting; did you mean CALLTAG_SIPSIM_RATE?"),
        ('[test]\nport = "1"', "CALLTAG_TEST_PORT is not a setting"),
        ("port = ", "calltag.toml is not TOML"),
        (f'admin_token = "{SECRET}', "calltag.toml is not TOML"),
        ("port = [1, 2]", "CALLTAG_PORT"),
    ],
)
def test_a_wrong_toml_file_is_told_in_one_line(tmp_path: Path, text: str, named: str) -> None:
    assert named in fault({}, toml(tmp_path, text))


def test_a_toml_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    assert "missing.toml" in fault({}, tmp_path / "missing.toml")
    (tmp_path / "latin.toml").write_bytes(b'rules = "\xe9"')
    assert "latin.toml" in fault({}, tmp_path / "latin.toml")
    assert str(tmp_path) in fault({}, tmp_path)


READ = """
import sys
from pathlib import Path
from worker.settings import SettingsError, load_settings
try:
    settings = load_settings(Path(sys.argv[1]) if sys.argv[1:] else None)
except SettingsError as fault:
    sys.exit(f"fault: {fault}")
print(settings.port, settings.host, settings.log_level, settings.max_body)
"""


def read_in(folder: Path, environ: Mapping[str, str], *config: str) -> str:
    """What a process in that folder reads as port, host, level and limit, or the fault."""
    environ = {name: value for name, value in os.environ.items() if "CALLTAG" not in name} | dict(environ)
    child = subprocess.run(
        [sys.executable, "-c", READ, *config], cwd=folder, env=environ, text=True, capture_output=True
    )
    return child.stdout.strip() or child.stderr.strip()


def test_the_environment_wins_over_dotenv_and_dotenv_over_the_file(tmp_path: Path) -> None:
    toml(tmp_path, 'port = 1\nhost = "toml"\nlog_level = "debug"\nmax_body = 1111')
    (tmp_path / ".env").write_text(
        "CALLTAG_PORT=2\nexport CALLTAG_HOST='dotenv'\nCALLTAG_LOG_LEVEL=error\nOTHER=3\n"
    )
    environ = {"CALLTAG_PORT": "3", "CALLTAG_HOST": "environment"}
    assert read_in(tmp_path, environ, "calltag.toml") == "3 environment error 1111"
    assert read_in(tmp_path, {}, "calltag.toml") == "2 dotenv error 1111"
    assert read_in(tmp_path, {}) == "2 dotenv error 4194304"


def test_a_dotenv_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"CALLTAG_HOST=\xe9\n")
    message = read_in(tmp_path, {})
    assert message.startswith("fault: ")
    assert ".env" in message
    assert "\n" not in message


@pytest.mark.parametrize("line", ["CALLTAG_PORT 18443", "CALLTAG_PORT", "CALLTAG_HOST='open"])
def test_a_line_of_a_dotenv_file_that_sets_nothing_is_told(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"CALLTAG_PORT=1\n# CALLTAG_PORT\n{line}\n")
    assert read_in(tmp_path, {}) == "fault: the file .env: line 3 is not NAME=value"


def test_a_name_of_the_environment_in_a_file_is_told_as_the_file_has_it(tmp_path: Path) -> None:
    path = toml(tmp_path, "CALLTAG_PORT = 1")
    assert fault({}, path) == f"the configuration file {path}: CALLTAG_PORT is written port there"


def test_a_dotenv_file_made_on_windows_is_read_from_its_first_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfCALLTAG_PORT=2\r\nCALLTAG_HOST=here\r\n")
    assert read_in(tmp_path, {}).startswith("2 here")


@pytest.mark.parametrize("name", ["plain", "with space", "a%20b", "a?b=c", "a#b", "été", "a:b@c"])
def test_a_data_folder_of_any_name_serves_database_and_socket(tmp_path: Path, name: str) -> None:
    settings = load(DATA_DIR=str(tmp_path / name))
    assert make_url(settings.database).database == str(tmp_path / name / "calltag.db")
    database = Database(settings.database)
    migrate(database)
    database.close()
    assert (tmp_path / name / "calltag.db").exists()
    assert settings.redis == embedded(settings.data_dir).url
    assert settings.broker == embedded(settings.data_dir).broker_url


def test_a_long_data_folder_has_its_socket_in_a_short_private_one(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    path = embedded_socket(long)
    assert len(os.fsencode(path)) <= 100
    assert path == embedded_socket(long)
    assert path != embedded_socket(tmp_path / ("y" * 120))
    server = embedded(long)
    assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
    server.socket.parent.rmdir()


def test_a_unix_socket_may_be_the_redis_and_so_the_broker() -> None:
    settings = load(REDIS_URL="unix:///run/redis.sock?db=2")
    assert settings.redis == "unix:///run/redis.sock?db=2"
    assert settings.broker.startswith("redis+socket:///run/redis.sock")


def test_relative_paths_are_of_the_working_folder_and_a_tilde_is_the_home() -> None:
    settings = load(DATA_DIR="data", RULES="~/rules.yaml")
    assert settings.data_dir == Path.cwd() / "data"
    assert settings.rules == Path.home() / "rules.yaml"
