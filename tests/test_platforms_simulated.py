"""What simulators share: nothing of it is loaded where calls are tagged."""

import subprocess
import sys

import pytest

from platforms.registry import PLATFORMS
from platforms.simulated import simulator

LOADED = """
import sys, platforms.registry, web.app, worker.app, worker.celery
print([name for name in sys.modules if name.startswith("platforms.") and "simul" in name])
"""


def test_no_simulator_is_loaded_where_calls_are_tagged() -> None:
    shown = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


@pytest.mark.parametrize("name", PLATFORMS)
def test_every_platform_of_the_registry_has_a_simulator_that_says_how_it_is_reached(name: str) -> None:
    with simulator(name)(limited=False) as simulated:
        settings = PLATFORMS[name].settings.model_validate(dict(simulated.settings))
        assert settings.base_url.startswith("http://127.0.0.1:")
        assert [secret.get_secret_value() for secret in settings.webhook_secrets]
        assert simulated.ends in simulated.events
        assert simulated.unlike.endswith(".")
