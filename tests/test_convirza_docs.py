"""The page about Convirza names every setting and every event."""

from pathlib import Path

import pytest

from platforms.convirza.examples import NAMES
from platforms.convirza.settings import ConvirzaSettings

PAGE = (Path(__file__).parents[1] / "docs" / "platforms" / "convirza.md").read_text(encoding="utf-8")
SHARED = {"default_region": "CALLTAG_DEFAULT_REGION", "allow_http": "CALLTAG_ALLOW_HTTP"}


@pytest.mark.parametrize("name", ConvirzaSettings.model_fields)
def test_every_setting_is_explained(name: str) -> None:
    assert SHARED.get(name, f"CALLTAG_CONVIRZA_{name.upper()}") in PAGE


@pytest.mark.parametrize("name", NAMES)
def test_every_event_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE
