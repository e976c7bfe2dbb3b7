"""Celery's consumer, made to outlive a broker that goes away while tasks run.

When the connection is lost, Celery 5.7 puts messages that are not acknowledged back into the queue, and
later acknowledges those whose task ends, both through the lost connection. Where the broker is gone, kombu
5.7 answers with an AttributeError, which ends the whole worker in the middle of its tasks' writes. Neither is
needed: the rows say what is due.

Where every process of the worker is busy, nothing listens to the broker, and only acknowledging notices that
it went away. Celery logs that and goes on: those messages then count as being worked on for ever, and the
worker waits for nothing, though it seems alive.
"""

from collections.abc import Callable
from logging import Logger
from typing import Any

from celery.worker.consumer import Consumer
from kombu.transport.virtual import Channel

Errors = tuple[type[Exception], ...]


class LastingConsumer(Consumer):
    """Leaves messages where they are when the connection is lost; takes kombu's fault for what it means."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.connection_errors: Errors
        self.connection_errors += (AttributeError,)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        transport = self.connection.transport if self.connection else None
        channels: list[Any] = getattr(transport, "channels", None) or []
        for channel in channels:
            channel.do_restore = False
        super().on_connection_error_after_connected(exc)

    def call_soon_ack(self, settle: Callable[..., Any], logger: Logger, errors: Errors) -> Any:
        """See `_settle`."""
        return super().call_soon_ack(_settle, settle, logger, errors)  # type: ignore[misc]  # not in its stubs


def _settle(settle: Callable[..., Any], logger: Logger, errors: Errors) -> None:
    """Acknowledges or rejects a message; raises where that fails on a connection that seemed to be there.

    Of a connection that is known as lost there is nothing to settle. RabbitMQ's is always listened to.
    """
    channel = settle.__self__.channel  # type: ignore[attr-defined]  # a method of its message
    if not isinstance(channel, Channel):
        settle(logger, errors)
    elif channel.do_restore:
        settle(logger, ())
