"""The log of `rehost serve`: JSON lines in logs/serve.log, warnings and errors on stderr too."""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

import structlog

_SIZE = 10 << 20  # bytes of one file
_KEPT = 5  # older files


def configure(folder: Path) -> None:
    """Everything that this process logs, by structlog or by the standard library, goes through here."""
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    file = RotatingFileHandler(folder / "serve.log", maxBytes=_SIZE, backupCount=_KEPT, encoding="utf-8")
    file.setFormatter(
        _formatter(shared, structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
    )
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.WARNING)
    console.setFormatter(_formatter(shared, _console_renderer()))
    logging.basicConfig(level=logging.INFO, handlers=[file, console], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _console_renderer() -> structlog.dev.ConsoleRenderer:
    """Tracebacks as Python writes them: structlog's own show the values of variables, secrets among them."""
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def _formatter(
    shared: list[structlog.types.Processor], *last: structlog.types.Processor
) -> structlog.stdlib.ProcessorFormatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
