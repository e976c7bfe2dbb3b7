"""Structured logs: one line an event, for people or as JSON, never with secrets, numbers or transcripts."""

import logging
import sys
import traceback
from collections.abc import Iterator

import structlog

from worker.settings import Settings


def configure(settings: Settings, part: str) -> None:
    """Sets up this process's logs; lines of the libraries come out in the same form, from warnings on."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_part(part),
    ]
    renderer: structlog.typing.Processor
    if settings.log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, _fault_by_place, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _fault_by_place, renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def _fault_by_place(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """A fault as its kind and where it happened; its text may quote what a caller sent."""
    fault = event.pop("exc_info", None)
    if isinstance(fault, tuple):
        fault = fault[1]
    elif fault is True:
        fault = sys.exc_info()[1]
    if isinstance(fault, BaseException):
        event["exception"] = "\nwhich followed from\n".join(_places(fault))
    return event


def _places(fault: BaseException | None) -> Iterator[str]:
    while fault is not None:
        yield "".join(traceback.format_tb(fault.__traceback__)) + type(fault).__name__
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)


def _name_part(part: str) -> structlog.typing.Processor:
    def add(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["part"] = part
        return event

    return add
