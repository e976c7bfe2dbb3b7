"""The settings of one CallRail account."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, SecretStr

from platforms.settings import AccountSettings, Positive, sendable

Requests = Annotated[int, Field(ge=10)]


class CallrailSettings(AccountSettings):
    """The key and the account that it is for; without both no request can be made.

    Of `webhook_secrets` there is one for each company of the account: CallRail calls them signing keys.
    """

    base_url: str = "https://api.callrail.com"
    api_key: SecretStr | None = None
    account_id: str | None = None
    """As in the paths of the API: `ACC...`, or the number in the address of CallRail's own pages."""
    timestamp_tolerance: Positive | None = None
    """Seconds that a webhook's `timestamp` may be off; None: it is not looked at. It is when the call began,
    and a call's webhooks come when it has ended, or days later when somebody changed it."""
    rate: Positive = 5.0
    requests_per_hour: Requests = 1000
    requests_per_day: Requests = 10_000
    """What CallRail lets an account do, whoever asks; it raises them for those who ask it to."""

    def _faults(self) -> Iterator[tuple[str, str]]:
        yield from super()._faults()
        if self.api_key and not self.account_id:
            yield "account_id", "is missing; it belongs to the API key"
        if self.account_id and not self.api_key:
            yield "api_key", "is missing; it belongs to the account id"
        if self.api_key and (not sendable(key := self.api_key.get_secret_value()) or '"' in key):
            yield "api_key", "holds a character that no key has"
        if self.account_id and not (self.account_id.isascii() and self.account_id.isalnum()):
            yield "account_id", "is no account id such as ACC8154748ae6bd4e278a7cddd38a662f4f"
