"""The settings of one SIPSIM account."""

from collections.abc import Iterator
from typing import Literal

from pydantic import SecretStr

from platforms.settings import AccountSettings, Positive, sendable


class SipsimSettings(AccountSettings):
    """Either `client_id` and `client_secret`, or an `access_token`; without them no request can be made."""

    base_url: str = "https://app.sipsim.com"
    client_id: str | None = None
    client_secret: SecretStr | None = None
    access_token: SecretStr | None = None
    timestamp_tolerance: Positive = 300.0
    """Seconds that a webhook's signed timestamp may be off, either side."""
    call_lookup: Literal["auto", "direct", "search"] = "auto"
    time: Literal["end", "start"] = "end"
    """What the `time` of an end event is; not documented."""

    def _faults(self) -> Iterator[tuple[str, str]]:
        yield from super()._faults()
        if self.client_id and not self.client_secret:
            yield "client_secret", "is missing; it belongs to the client id"
        if self.client_secret and not self.client_id:
            yield "client_id", "is missing; it belongs to the client secret"
        if self.access_token and (self.client_id or self.client_secret):
            yield "access_token", "is set beside a client id or secret; set one or the other"
        if self.access_token and not sendable(self.access_token.get_secret_value()):
            yield "access_token", "holds a space or a character that no token has"
