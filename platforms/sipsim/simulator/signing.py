"""How webhooks are signed."""

import hashlib
import hmac


def signed_headers(secret: str, body: bytes, now: float) -> dict[str, str]:
    """The headers of a webhook with this raw body, signed at this moment (Unix seconds)."""
    stamp = str(int(now))
    signature = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-Webhook-Timestamp": stamp,
        "X-Webhook-Signature": signature,
    }
