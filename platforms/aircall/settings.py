"""The settings of one Aircall account (a company, as Aircall calls it)."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, SecretStr

from platforms.settings import AccountSettings, Positive


class AircallSettings(AccountSettings):
    """An API key is an id and a token; without them no request can be made."""

    base_url: str = "https://api.aircall.io"
    api_id: str | None = None
    api_token: SecretStr | None = None
    requests_a_minute: Annotated[int, Field(ge=2)] = 60
    """What Aircall grants the company, all of its integrations together."""
    timestamp_tolerance: Positive = 46_800.0
    """Seconds that a webhook's timestamp may be off, either side: a failed one comes again for 12 hours."""

    def _faults(self) -> Iterator[tuple[str, str]]:
        yield from super()._faults()
        if self.api_id and not self.api_token:
            yield "api_token", "is missing; it belongs to the API id"
        if self.api_token and not self.api_id:
            yield "api_id", "is missing; it belongs to the API token"
