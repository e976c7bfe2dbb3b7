"""What Convirza is asked for that its documents do not show whole: each is inferred, in one function."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from platforms.convirza.settings import ConvirzaSettings
from platforms.errors import Unauthorized
from platforms.rest import path_part


class V2Request(NamedTuple):
    """A request to the old API: the path below `/v2/`, and its JSON."""

    path: str
    body: dict[str, Any]


def v2_request(settings: ConvirzaSettings, call_id: str, tags: Mapping[str, str | None]) -> V2Request:
    """The old API's request that puts tags on a call, by name and id. Its path is a setting, and its form was
    found nowhere: it is written after the old web pages' own."""
    path = (settings.apply_path or "").strip("/").replace("{call_id}", path_part(call_id))
    items = [
        {"tag_name": name} if tag_id is None else {"tag_id": tag_id, "tag_name": name}
        for name, tag_id in tags.items()
    ]
    return V2Request(path, {"call_id": call_id, "tags": items})


def login(settings: ConvirzaSettings) -> dict[str, str]:
    """What a login is made with; the names of the two are inferred."""
    if settings.email is None or settings.password is None:
        raise Unauthorized("no e-mail and password are set")
    return {"email": settings.email, "password": settings.password.get_secret_value()}


def v2_login(settings: ConvirzaSettings, refresh: str | None) -> dict[str, str]:
    """The form that brings the old API's token; that of renewing it is RFC 6749's, which is inferred."""
    secret = settings.client_secret
    if settings.client_id is None or secret is None:
        raise Unauthorized("no client id and secret of the old API are set")
    client = {"client_id": settings.client_id, "client_secret": secret.get_secret_value()}
    if refresh is not None:
        return {"grant_type": "refresh_token", "refresh_token": refresh, **client}
    user = login(settings)
    return {"grant_type": "password", "username": user["email"], "password": user["password"], **client}


def tag_path(tag_id: str) -> str:
    """Where one tag is; inferred."""
    return f"tag/{path_part(tag_id)}"


def renaming(name: str) -> dict[str, Any]:
    """What renames a tag; inferred from what makes one."""
    return {"tag": {"tag_name": name}}
