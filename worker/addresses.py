"""Addresses in settings: what is wrong is said without quoting them, since they may hold a password."""

import re
from urllib.parse import SplitResult, urlsplit

REDIS = ("redis", "rediss", "unix")
BROKERS = (*REDIS, "amqp", "amqps")
POSTGRESQL = ("postgres", "postgresql", "postgresql+psycopg")


def redis_address(url: str) -> str:
    """A Redis server's address, or none; raises ValueError for anything else."""
    return _server(url, REDIS) if url else url


def broker_address(url: str) -> str:
    """A message broker's address, or none; raises ValueError for anything else."""
    return _server(url, BROKERS) if url else url


def public_address(url: str) -> str:
    """The address that people use, or none, without a slash at its end; raises ValueError otherwise."""
    if url and (_split(url).scheme not in ("http", "https") or not _split(url).hostname):
        raise ValueError("must be an address such as https://calltag.example.com")
    return url.rstrip("/")


def database_address(url: str) -> str:
    """A database's address as SQLAlchemy takes it, or none; raises ValueError for anything else."""
    scheme, _, rest = url.partition("://")
    if scheme in POSTGRESQL:
        _split(url)
        return f"postgresql+psycopg://{rest}"
    if scheme == "sqlite" and rest.rpartition("/")[2] in ("", ":memory:"):
        raise ValueError("must name a file: sqlite:///PATH")
    if scheme == "sqlite" and not rest.startswith("/"):
        raise ValueError(
            "must have three slashes: sqlite:///PATH, with a fourth one where PATH begins with /"
        )
    if url and scheme != "sqlite":
        raise ValueError("must begin with sqlite:/// or postgresql://")
    return url


def _server(url: str, schemes: tuple[str, ...]) -> str:
    parts = _split(url)
    if parts.scheme not in schemes:
        raise ValueError(f"must begin with one of {', '.join(f'{scheme}://' for scheme in schemes)}")
    if parts.scheme == "unix":
        return url
    if not parts.hostname:
        raise ValueError("must name a host")
    if parts.scheme in REDIS and not re.fullmatch("/?[0-9]*", parts.path):
        raise ValueError("must end with the number of a database, such as /0, or without one")
    return url


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is no address: its host or port cannot be read") from None
    return parts
