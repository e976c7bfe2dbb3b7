"""Files beside the code that must keep up with it."""

import re
import subprocess
import sys
from pathlib import Path

from platforms.registry import PLATFORMS
from platforms.settings import AccountSettings
from worker.settings import Settings, account_prefix, load_settings

ROOT = Path(__file__).parent.parent
LINE = re.compile(r"^(?:# )?(CALLTAG_[A-Z_]+)=(.*)$", re.MULTILINE)
EXAMPLE = LINE.findall((ROOT / ".env.example").read_text(encoding="utf-8"))
FOR_THE_WHOLE = {"default_region", "allow_http"}
"""Settings of all accounts together."""


def known() -> dict[str, object]:
    """Every setting and its default, as of the code; accounts by the names of their platforms."""
    found = {f"CALLTAG_{name.upper()}": field.default for name, field in Settings.model_fields.items()}
    for name, platform in PLATFORMS.items():
        fields: type[AccountSettings] = platform.settings
        for key, field in fields.model_fields.items():
            if key not in FOR_THE_WHOLE:
                found[account_prefix(name) + key.upper()] = field.default
    return found


def test_the_example_of_settings_names_all_of_them_and_no_others() -> None:
    named = {name for name, _ in EXAMPLE}
    assert named - {"CALLTAG_SIPSIM_LYON_PLATFORM"} == known().keys()


def test_the_example_of_settings_shows_the_defaults() -> None:
    shown: dict[str, str] = {}
    for name, value in EXAMPLE:
        shown.setdefault(name, value)
    plain = {
        name: str(value) for name, value in known().items() if isinstance(value, str | int | float | Path)
    }
    given = {name: _number(value) for name, value in plain.items() if value not in ("", "False")}
    assert {name: _number(shown[name]) for name in given} == given


def _number(text: str) -> str:
    return text.removesuffix(".0")


def test_the_example_of_settings_can_be_used_as_it_is() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    settings = load_settings(environ=dict(line.split("=", 1) for line in lines))
    assert dict(settings.accounts) == {}


def test_the_compose_file_is_sound() -> None:
    check = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "compose_check.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (check.returncode, check.stdout.strip()) == (0, "")
