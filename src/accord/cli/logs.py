"""How this process logs: text for people or one JSON object a line, never a secret."""

from __future__ import annotations

import logging
import sys

import structlog

from accord.settings import Settings


def configure(settings: Settings) -> None:
    """Set up structlog and the standard library's logging by the settings."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    renderer = structlog.processors.JSONRenderer() if settings.log_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr)
