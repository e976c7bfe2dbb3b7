"""Every platform of the registry, each with its simulator: what a new adapter gets by adding itself there."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cli.valkey import Valkey
from platforms.registry import PLATFORMS
from tests.platform_bench import PlatformBench, platform_bench


@pytest.fixture(params=PLATFORMS)
def make(
    request: pytest.FixtureRequest, tmp_path: Path, valkey: Valkey, empty_database: Path
) -> Iterator[Callable[..., PlatformBench]]:
    """Makes a bench at a platform of this kind; takes `limited` and `rules`."""
    with ExitStack() as stack:

        def make(**more: Any) -> PlatformBench:
            folder = tmp_path / f"bench-{uuid.uuid4().hex[:6]}"
            folder.mkdir()
            made = platform_bench(folder, valkey.url, request.param, empty_database, **more)
            return stack.enter_context(made)

        yield make


@pytest.fixture
def bench(make: Callable[..., PlatformBench]) -> PlatformBench:
    return make()
