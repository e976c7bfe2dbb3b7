"""How the simulated platform behaves: one object, read at every request, changed while running."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

EVENTS = (
    "incoming_call_start",
    "incoming_call_start_chain_member_call",
    "incoming_call_end_chain_member_call",
    "incoming_call_answer",
    "incoming_call_end",
    "outgoing_call_start",
    "outgoing_call_answer",
    "outgoing_call_end",
    "voicemail",
    "tags",
    "speech",
    "summary",
    "sms",
    "rating",
)
"""What `/webhooks/available` lists; `test` is manual only."""

DROP_BEFORE = "drop_before"
DROP_AFTER = "drop_after"

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
FaultKind = Annotated[str, Field(pattern=r"^([45]\d\d|drop_before|drop_after)$")]


class Config(BaseModel):
    """The simulator's settings, with the platform's documented values as defaults.

    Lengths of time are seconds, rates are shares from 0 to 1. The credentials are simulated ones.
    """

    model_config = ConfigDict(extra="forbid")

    client_id: str = "simulated-client"
    client_secret: str = Field(default="simulated-client-secret", repr=False)
    token_seconds: Seconds = 7200

    ids: Literal["reference", "integer"] = "reference"
    """`reference`: a path takes a webhook's `pbx_id` as well as the integer; `integer`: only that."""
    list_reference: bool = False
    """Whether a call, in the list and alone, carries its `pbx_id`."""
    list_delay: Seconds = 0
    """How long after its end a call begins to appear in the list."""
    page_seconds: Seconds | None = None
    """How long the token of a list's next page is good; none: for ever."""
    tags_ignore_case: bool = False
    """Whether tag names that differ in case only are the same name."""

    rate_limit: Annotated[int, Field(ge=1)] | None = None
    """Requests let through in any one second, token requests apart; none: no limit."""
    retry_after: str | None = "1"
    """The `Retry-After` of a 429, as text; none: no such header."""
    latency: Seconds = 0
    error_rate: Share = 0
    error_kinds: tuple[FaultKind, ...] = ("500", "502", "503", "504", DROP_BEFORE, DROP_AFTER)

    webhook_url: Annotated[str, Field(pattern="^https?://")] | None = None
    webhook_secret: str = Field(default="simulated-webhook-secret", repr=False)
    echoes: bool = True
    """Whether an edit by the API sends a `tags` event too, as one by a person always does."""
    webhook_timeout: Seconds = 2
    retries: tuple[Seconds, ...] = (0.5, 1, 2, 4, 8)
    """The pauses before each redelivery of a webhook that failed; after the last it is given up."""
    duplicate_rate: Share = 0
    reorder_rate: Share = 0
    reorder_seconds: Seconds = 1
    """The most by which a delivery that is chosen to be reordered comes later."""

    def change(self, values: Mapping[str, object]) -> None:
        """Sets these fields, all or none; ValueError, in one line, if one is unknown or out of range."""
        try:
            checked = Config.model_validate({**self.model_dump(), **values})
        except ValidationError as fault:
            raise ValueError(faults_in_words(fault)) from None
        for name in values:
            setattr(self, name, getattr(checked, name))


def faults_in_words(fault: ValidationError) -> str:
    """One line: each wrong field with what is wrong about it."""
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in fault.errors())
