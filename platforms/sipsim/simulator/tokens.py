"""OAuth 2.0 by client credentials: `POST /oauth/token`."""

import hmac
import secrets
from time import monotonic, time
from urllib.parse import parse_qs

from starlette.responses import Response

from platforms.sipsim.simulator.answers import as_json
from platforms.sipsim.simulator.config import Config

SCOPES = frozenset(
    {
        "account.read",
        "calls.read",
        "calls.write",
        "calls.create",
        "calls.tags.write",
        "calls.transcription.read",
        "calls.transcription.write",
        "calls.summary.read",
        "calls.summary.write",
        "settings.read",
        "settings.write",
        "phones.read",
        "phones.write",
        "tags.read",
        "tags.write",
        "webhooks.read",
        "webhooks.write",
    }
)


class Tokens:
    """The access tokens that are good now."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._granted: dict[str, tuple[frozenset[str], float]] = {}

    def scopes(self, authorization: str) -> frozenset[str] | None:
        """The scopes of an Authorization header; None if it is missing, of another kind, old or revoked."""
        kind, _, token = authorization.partition(" ")
        granted = self._granted.get(token) if kind.lower() == "bearer" else None
        if granted is None or granted[1] <= monotonic():
            return None
        return granted[0]

    def revoke_all(self) -> None:
        self._granted.clear()

    def issue(self, body: bytes) -> Response:
        """Answers a form body with a token, or with an error as RFC 6749 writes it."""
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        scopes = frozenset(form.get("scope", "").split())
        if form.get("grant_type") != "client_credentials":
            return as_json({"error": "unsupported_grant_type"}, 400)
        if not self._known(form):
            return as_json({"error": "invalid_client"}, 401)
        if not scopes or not scopes <= SCOPES:
            return as_json({"error": "invalid_scope"}, 400)
        return as_json(self._grant(scopes))

    def _known(self, form: dict[str, str]) -> bool:
        wanted = f"{self._config.client_id}\n{self._config.client_secret}"
        given = f"{form.get('client_id')}\n{form.get('client_secret')}"
        return hmac.compare_digest(wanted.encode(), given.encode())

    def _grant(self, scopes: frozenset[str]) -> dict[str, object]:
        token = secrets.token_urlsafe(24)
        lifetime = self._config.token_seconds
        now = monotonic()
        self._granted = {each: kept for each, kept in self._granted.items() if kept[1] > now}
        self._granted[token] = (scopes, now + lifetime)
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(lifetime),
            "scope": " ".join(sorted(scopes)),
            "created_at": int(time()),
        }
