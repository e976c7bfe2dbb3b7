"""The page about SIPSIM names every setting and every event."""

from pathlib import Path

import pytest

from platforms.sipsim.examples import CALLS, OTHERS
from platforms.sipsim.settings import SipsimSettings

PAGE = (Path(__file__).parents[1] / "docs" / "platforms" / "sipsim.md").read_text(encoding="utf-8")
SHARED = {"default_region": "CALLTAG_DEFAULT_REGION", "allow_http": "CALLTAG_ALLOW_HTTP"}


@pytest.mark.parametrize("name", SipsimSettings.model_fields)
def test_every_setting_is_explained(name: str) -> None:
    assert f"{SHARED.get(name, f'CALLTAG_SIPSIM_{name.upper()}')}" in PAGE


@pytest.mark.parametrize("name", [*CALLS, *OTHERS])
def test_every_event_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE
