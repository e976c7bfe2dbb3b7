"""`calltag doctor` at every platform: what it looks at, and that whatever is wrong is a line."""

from pathlib import Path

import pytest

from platforms.registry import PLATFORMS
from platforms.simulated import simulator
from tests.commands import NOWHERE, Operator, Said
from tests.platform_bench import environment

RULES = Path(__file__).parent.parent.parent / "rules" / "samples" / "first-rules.yaml"


def doctor(folder: Path, platform: str, **more: str) -> Said:
    """What it says of an account at the simulated platform, while nothing of calltag runs."""
    with simulator(platform)(limited=False) as simulated:
        own = {
            "CALLTAG_DATA_DIR": str(folder),
            "CALLTAG_RULES": str(RULES),
            "CALLTAG_REDIS_URL": NOWHERE,
            "CALLTAG_PORT": "9",
            "CALLTAG_ACCOUNTS": platform,
        }
        given = {**own, **environment(platform, platform, simulated), **more}
        return Operator(folder, given).run("doctor", "--no-enable-events")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_thing_looked_at_is_a_line_and_says_what_to_do(tmp_path: Path, platform: str) -> None:
    said = doctor(tmp_path, platform)
    lines = said.out.splitlines()
    assert all(line.startswith(("ok    ", "WRONG ")) for line in lines), said.out
    own = [line for line in lines if f"{platform}: " in line]
    assert any(line.startswith("ok ") for line in own), said.out
    assert f"WRONG {platform}: test event to http://127.0.0.1:9/webhooks/{platform}: no answer" in said.out
    assert said.status == 1


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_secret_that_is_missing_is_named(tmp_path: Path, platform: str) -> None:
    said = doctor(tmp_path, platform, **{f"CALLTAG_{platform.upper()}_WEBHOOK_SECRETS": ""})
    assert f"set CALLTAG_{platform.upper()}_WEBHOOK_SECRETS" in said.out


@pytest.mark.parametrize("platform", PLATFORMS)
def test_where_webhooks_come_once_and_no_list_is_read_it_warns(tmp_path: Path, platform: str) -> None:
    wrong = f"WRONG {platform}: missed webhooks"
    assert wrong not in doctor(tmp_path, platform).out
    off = doctor(tmp_path, platform, CALLTAG_RECONCILE_EVERY="0")
    assert (wrong in off.out) == (not PLATFORMS[platform].redelivers)


def test_without_an_account_it_says_how_the_settings_of_one_begin(tmp_path: Path) -> None:
    said = Operator(tmp_path, {"CALLTAG_DATA_DIR": str(tmp_path), "CALLTAG_REDIS_URL": NOWHERE}).run("doctor")
    for name in PLATFORMS:
        assert f"CALLTAG_{name.upper()}_" in said.out
