"""The administrator's token: given by a setting, or made at the first start and kept in the data folder."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from cli.errors import UserError
from worker.settings import Settings


def token_file(settings: Settings) -> Path:
    return settings.data_dir / "admin-token"


def with_admin_token(settings: Settings) -> tuple[Settings, bool]:
    """The settings with the token in them, and whether it was made just now.

    Raises `UserError` when the file that keeps it cannot be used.
    """
    if settings.admin_token is not None:
        return settings, False
    path = token_file(settings)
    try:
        made = not path.exists() and _make(path)
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise UserError(f"the admin token in {path} cannot be read or made: {fault}") from None
    if len(token) < 16:
        raise UserError(
            f"the admin token in {path} is shorter than 16 characters; remove the file to have one made"
        )
    return settings.model_copy(update={"admin_token": SecretStr(token)}), made


def _make(path: Path) -> bool:
    """Writes a new token, whole or not at all; False when another process was quicker."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    try:
        with suppress(FileExistsError):
            os.link(draft, path)
            return True
        return False
    finally:
        draft.unlink()
