"""Is docker-compose.yml sound, as far as can be told without Docker? Prints each fault; exits 1 for any."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
TOP = {"name", "services", "volumes"}
SERVICE = {
    "build", "cap_drop", "command", "depends_on", "env_file", "environment", "healthcheck", "image", "init",
    "ports", "profiles", "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "user",
    "volumes",
}  # fmt: skip
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
NEEDED = {"redis", "postgres", "web", "worker", "batch", "sweeper", "simulator"}
SECRET = re.compile(r"password|secret|token", re.IGNORECASE)


def faults(compose: dict[str, Any]) -> Iterator[str]:
    services = compose["services"]
    yield from (f"unknown key {key}" for key in compose.keys() - TOP if not key.startswith("x-"))
    yield from (f"service {name} is missing" for name in NEEDED - services.keys())
    for name, service in services.items():
        yield from (f"{name}: {fault}" for fault in service_faults(service, compose))


def service_faults(service: dict[str, Any], compose: dict[str, Any]) -> Iterator[str]:
    yield from (f"unknown key {key}" for key in service.keys() - SERVICE)
    if not ("image" in service or "build" in service):
        yield "has neither an image nor a build"
    for other, how in service.get("depends_on", {}).items():
        if other not in compose["services"]:
            yield f"depends on {other}, which is not there"
        elif how["condition"] not in CONDITIONS:
            yield f"depends on {other} by an unknown condition"
    for mount in service.get("volumes", []):
        source = mount.rsplit(":", 2 if mount.endswith(":ro") else 1)[0]
        if re.fullmatch(r"\w+", source) and source not in compose["volumes"]:
            yield f"volume {source} is not declared"
    for key, value in service.get("environment", {}).items():
        if SECRET.search(key) and not re.fullmatch(r"\$\{\w+:\?.+\}", value):
            yield f"{key} must be required from .env, without a default"


def main() -> int:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    found = sorted(faults(compose))
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
