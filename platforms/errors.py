"""What can go wrong between calltag and a platform, and what its catcher needs to know.

    PlatformError            permanent? again after how many seconds?
    ├── Unreachable          no answer, or 5xx: again later; the write may have happened
    ├── Limited              429: again after `retry_after`, for the whole fleet
    ├── OutOfTime            the lease is too short for another request: nothing was sent
    ├── Unauthorized         401, also with a new token: permanent
    ├── Forbidden            403: permanent
    ├── NotFound             404: the caller looks the call or the tag up once more
    ├── Conflict             409: the caller reads what is there
    ├── PageExpired          a page token that is no longer taken: the caller lists from the first page again
    └── Refused              any other answer: permanent

Outside of these, a webhook is refused with `BadSignature` or `BadTimestamp`, and a body that passes its
signature but cannot be read is `Unreadable`.
"""


class PlatformError(Exception):
    """A request that did not bring what was asked for; the text is one line without personal data."""

    permanent = False

    def __init__(self, message: str, retry_after: float | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.status = status
        """What was answered, where it was that."""


class Unreachable(PlatformError):
    """No answer in time, a broken connection, or a 5xx; whether the write took effect is not known."""


class Limited(PlatformError):
    """The platform's own limit was passed; `retry_after` seconds are already clamped to a sane range."""


class OutOfTime(PlatformError):
    """Not sent: the time left of the lease does not suffice for one more request."""


class Unauthorized(PlatformError):
    permanent = True


class Forbidden(PlatformError):
    permanent = True


class NotFound(PlatformError):
    permanent = True


class Conflict(PlatformError):
    permanent = True


class PageExpired(PlatformError):
    """The page of a list that was asked for is no longer there; the list itself may well be."""


class Refused(PlatformError):
    permanent = True


class BadSignature(Exception):
    """The webhook's signature is missing, malformed or wrong."""


class BadTimestamp(Exception):
    """The webhook's signed timestamp is outside the tolerance."""


class Unreadable(Exception):
    """A body that cannot be read as an event; the text says why, without quoting the body."""
