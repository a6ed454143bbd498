"""The hub's log: JSON lines, one place that keeps secrets out of it."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

import structlog

SECRET: Final = re.compile(r"\b(ct[jau]_)[A-Za-z0-9_-]+")
"""Our tokens are recognised by their prefix, wherever in a text they are."""
SECRET_NAMES: Final = frozenset({"token", "secret", "authorization", "password", "join_token", "credential"})

CHATTY: Final = ("httpx", "httpcore", "watchfiles")
"""Libraries that tell every request and every changed file at the level `info`: several lines for each look at a
gateway. They are heard from `warning` on, and wholly at `debug`."""

Fields = MutableMapping[str, Any]


def redacted(value: Any) -> Any:
    """The same value without tokens of ours."""
    if isinstance(value, str):
        return SECRET.sub(r"\1…", value)
    if isinstance(value, dict):
        return {key: "…" if str(key).lower() in SECRET_NAMES else redacted(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(item) for item in value]
    return value


def _redact(_logger: Any, _method: str, fields: Fields) -> Fields:
    return redacted(dict(fields))


@contextmanager
def hub_log(level: str, file: Path | None) -> Iterator[None]:
    """Send structlog's and the standard library's records as JSON to `file`, or to stderr."""
    stream = _opened(file) if file is not None else sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        # After everything that makes text, so that a traceback is redacted too.
        _redact,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=render))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(level.upper())
    _quieten(logging.WARNING if root.level > logging.DEBUG else logging.NOTSET)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.removeHandler(handler)
        root.setLevel(before)
        _quieten(logging.NOTSET)
        if file is not None:
            stream.close()


def _quieten(level: int) -> None:
    for name in CHATTY:
        logging.getLogger(name).setLevel(level)


def _opened(file: Path) -> TextIO:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return file.open("a", encoding="utf-8")
