"""What happened, an event a line on stderr: readable text, or one JSON object a line for a log collector.

Everything goes through the logger `heatproof` of the standard library. An event has a name and facts: ids, counts, seconds, file names, and
messages of errors. Clicks, names and addresses of people, tokens and passwords are no facts: who decided what stands in the store.
Passwords of the store are masked in facts, in messages of other loggers of the process, and in every traceback.
"""

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from core import settings
from core.errors import ForbiddenError, HeatproofError
from core.errors.masking import masked, masked_values

logger = logging.getLogger("heatproof")
logger.addHandler(logging.NullHandler())  # else Python would print warnings of whoever asked for no log


def configure(otherwise: settings.LogFormat | None) -> None:
    """Writes events to stderr from now on, as `HEATPROOF_LOG` says, else as `otherwise`. Raises InputError for another value."""
    wanted, level = settings.log_format() or otherwise, settings.log_level()
    logger.handlers = [handler for handler in logger.handlers if isinstance(handler, logging.NullHandler)]
    logger.setLevel(level.upper())
    if wanted is None:
        return
    handler = _Stderr()
    handler.setFormatter(JsonLines() if wanted == "json" else TextLines())
    logger.addHandler(handler)
    logger.propagate = False  # what other handlers there are would write it a second time


def mask_everything() -> None:
    """From now on no logger of this process and no traceback that ends a process or a thread writes a password."""
    logging.setLogRecordFactory(MaskedRecord)
    sys.excepthook = _excepthook
    threading.excepthook = lambda failed: _excepthook(failed.exc_type, failed.exc_value, failed.exc_traceback)


class MaskedRecord(logging.LogRecord):
    """A record whose message and traceback are masked, whichever handler writes it: libraries log errors of the database too."""

    def getMessage(self) -> str:  # noqa: N802 (the standard library's name)
        """The message with its arguments, masked."""
        return masked(super().getMessage())

    @property
    def exc_text(self) -> str | None:
        """The traceback, masked: handlers take this text where there is one."""
        return _traceback(*self.exc_info) if self.exc_info and self.exc_info[0] else None

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        """Formatters keep what they made of `exc_info`; there is nothing to keep."""


def _excepthook(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if not issubclass(kind, SystemExit):
        print(_traceback(kind, error, trace), file=sys.stderr, flush=True)


def _traceback(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> str:
    return masked("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"))


def event(name: str, /, **facts: Any) -> None:
    """Something ended as it should. Facts that are None are left out."""
    _write(logging.INFO, name, facts)


def detail(name: str, /, **facts: Any) -> None:
    """A detail, written at level debug only."""
    _write(logging.DEBUG, name, facts)


def failure(name: str, error: BaseException, /, **facts: Any) -> None:
    """Something ended by an error: a warning where its message is for the user, else an error with its traceback.

    A refusal is left out: its message names a person, and it was logged without one where it was recorded.
    """
    if isinstance(error, ForbiddenError):
        return
    expected = isinstance(error, HeatproofError | KeyboardInterrupt)
    about = {**facts, "error": str(error) or type(error).__name__}
    _write(logging.WARNING if expected else logging.ERROR, name, about, None if expected else error)


class _Stderr(logging.Handler):
    """Writes to what is stderr at that moment: it may be put elsewhere, and closed there."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


class JsonLines(logging.Formatter):
    """time (UTC, ISO 8601), level and event, then the facts; `traceback` for a bug. No line break in a line, whatever a fact holds."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        line = {"time": _when(record).isoformat(timespec="milliseconds"), "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["traceback"] = masked(self.formatException(record.exc_info))
        return json.dumps(line, default=str, ensure_ascii=False)


class TextLines(logging.Formatter):
    """Time (UTC), level, event, then facts as name=value; a bug's traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback's."""
        facts = " ".join(f"{name}={_plain(value)}" for name, value in getattr(record, "facts", {}).items())
        line = f"{_when(record):%Y-%m-%d %H:%M:%S} {record.levelname:<7} {record.getMessage()} {facts}".rstrip()
        return f"{line}\n{masked(self.formatException(record.exc_info))}" if record.exc_info else line


def _write(level: int, name: str, facts: dict[str, Any], error: BaseException | None = None) -> None:
    told = {key: masked_values(value) for key, value in facts.items() if value is not None}
    logger.log(level, name, extra={"facts": told}, exc_info=error)


def _when(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _plain(value: Any) -> str:
    """A value as it is where it is one word, else as JSON."""
    text = str(value)
    return (
        text if isinstance(value, str | int | float) and text and text.isprintable() and " " not in text else json.dumps(value, default=str)
    )
