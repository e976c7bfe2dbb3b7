"""The page about Aircall names every setting and every event."""

from pathlib import Path

import pytest

from platforms.aircall.examples import LATER
from platforms.aircall.settings import AircallSettings
from platforms.aircall.webhook import CALL_EVENTS

PAGE = (Path(__file__).parents[1] / "docs" / "platforms" / "aircall.md").read_text(encoding="utf-8")
SHARED = {"default_region": "CALLTAG_DEFAULT_REGION", "allow_http": "CALLTAG_ALLOW_HTTP"}


@pytest.mark.parametrize("name", AircallSettings.model_fields)
def test_every_setting_is_explained(name: str) -> None:
    assert f"{SHARED.get(name, f'CALLTAG_AIRCALL_{name.upper()}')}" in PAGE


@pytest.mark.parametrize("name", [*CALL_EVENTS, *LATER])
def test_every_event_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE
