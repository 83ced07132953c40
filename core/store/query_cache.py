"""Query cache, cleared by every commit.

A page asks some questions several times, and the same ones when it is drawn again. On a lake each costs a look into its catalogue and its
files, while a single look tells whether anything was committed since.
"""

import re
import threading
import time
from collections.abc import Callable
from typing import Any

Rows = list[dict[str, Any]]
Parameters = list[Any] | dict[str, Any]
"""Of a query: by place, or by name."""

MOST, MOST_ROWS = 256, 200
"""Answers that are kept, and rows of the longest."""
KEEP_S = 60.0
"""How long they are kept without any commit: some views look at the clock, since a snooze ends by itself."""
READS = re.compile(r"\s*(SELECT|WITH|FROM)\b", re.IGNORECASE)
VOLATILE = re.compile(
    r"\b(?:(?:now|random|setseed|uuid\w*|gen_random_uuid|today|nextval|get_current_\w+)\s*\(|current_(?:date|time|timestamp)\b)",
    re.IGNORECASE,
)


class Recall:
    """What was answered in the newest state that was queried. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: int | None = None
        self._since = 0.0
        self._kept: dict[tuple[str, str], Rows] = {}

    def rows(self, state: int, sql: str, parameters: Parameters, ask: Callable[[], Rows]) -> Rows:
        """The answer of `ask`, or the one that was given in this state. `state` was looked up before asking, so no answer is older."""
        if not READS.match(sql) or VOLATILE.search(sql):
            return ask()
        key = sql, repr(parameters)
        with self._lock:
            if state != self._state or time.monotonic() - self._since > KEEP_S:
                self._state, self._since, self._kept = state, time.monotonic(), {}
            known = self._kept.get(key)
        if known is None:
            known = ask()
            if len(known) <= MOST_ROWS:
                with self._lock:
                    if state == self._state and len(self._kept) < MOST:
                        self._kept[key] = known
        return [dict(row) for row in known]
