"""The project itself: what its files say of each other, and what must never stand in them."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

from platforms.registry import PLATFORMS
from worker.settings import Settings

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOMS = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
README = (ROOT / "README.md").read_text()


def test_no_other_installed_distribution_claims_a_room_s_name() -> None:
    owners = importlib.metadata.packages_distributions()
    assert {room: set(owners.get(room, [])) - {"calltag"} for room in ROOMS} == {
        room: set() for room in ROOMS
    }


def test_the_distribution_cannot_be_uploaded() -> None:
    assert "Private :: Do Not Upload" in PYPROJECT["project"]["classifiers"]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_files_hold_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / name).read_text()
    pinned = re.findall(r"^[\w.\[\]-]+==\S+", text, re.MULTILINE)
    assert len(pinned) > 40
    assert text.count("--hash=sha256:") >= len(pinned)
    assert "://" not in text
    assert "index-url" not in text


def test_both_lock_files_pin_the_same_versions() -> None:
    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([\w.\[\]-]+)==([^\s;]+)", (ROOT / name).read_text(), re.MULTILINE))

    product, tests = pins("requirements.lock"), pins("requirements-dev.lock")
    assert product == {name: tests.get(name) for name in product}


def setting_names() -> set[str]:
    common = {f"CALLTAG_{name.upper()}" for name in Settings.model_fields}
    own = {
        f"CALLTAG_{platform.name.upper()}_{name.upper()}"
        for platform in PLATFORMS.values()
        for name in platform.settings.model_fields
        if name not in ("default_region", "allow_http")  # these are the common ones
    }
    return common | own


def test_the_readme_and_the_example_name_every_setting() -> None:
    expanded = README.replace("`_CLIENT_SECRET`", "`CALLTAG_SIPSIM_CLIENT_SECRET`")
    example = (ROOT / ".env.example").read_text()
    for name in setting_names():
        assert f"`{name}`" in expanded, f"{name} is missing in README.md"
        assert f"{name}=" in example, f"{name} is missing in .env.example"


def test_no_file_names_a_setting_that_does_not_exist() -> None:
    real = setting_names() | {"CALLTAG_SIPSIM_LYON_PLATFORM", "CALLTAG_SIPSIM_LYON_"}
    for name in re.findall(r"CALLTAG_[A-Z_]+", README + (ROOT / ".env.example").read_text()):
        assert name in real or name.startswith("CALLTAG_SIPSIM_LYON") or name + "_" in real, name


def test_the_readme_begins_with_the_two_commands() -> None:
    assert 0 < README.index("./run demo") < README.index("./run test") < README.index("## Your own calls")


def test_every_relative_link_of_the_documents_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert len(pages) > 3
    for page in pages:
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
