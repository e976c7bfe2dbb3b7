"""The page about CallRail names every setting and every event."""

from pathlib import Path

import pytest

from platforms.callrail.examples import CALLS, OTHERS
from platforms.callrail.settings import CallrailSettings

PAGE = (Path(__file__).parents[1] / "docs" / "platforms" / "callrail.md").read_text(encoding="utf-8")
SHARED = {"default_region": "CALLTAG_DEFAULT_REGION", "allow_http": "CALLTAG_ALLOW_HTTP"}


@pytest.mark.parametrize("name", CallrailSettings.model_fields)
def test_every_setting_is_explained(name: str) -> None:
    assert SHARED.get(name, f"CALLTAG_CALLRAIL_{name.upper()}") in PAGE


@pytest.mark.parametrize("name", [*CALLS, *OTHERS])
def test_every_event_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE
