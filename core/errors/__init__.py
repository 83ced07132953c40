"""Errors that a user may see.

Every message has one form: the rule, the value that broke it, then the next step. `HeatproofError`
is the only type that `app.py` and `__main__` turn into a message; anything else is a bug and keeps its traceback.

    HeatproofError
    ├── InputError        a file, column or option that cannot be used
    ├── IngestCancelledError   the user cancelled an ingest
    ├── StoreError        the DuckDB file cannot be opened, read or restored
    │   ├── StoreBusyError    another process holds it
    │   └── StoreAwayError    the server of its catalogue does not answer; the same again works once it does
    ├── DiskFullError     a disk has no room for what is to be written
    ├── ChangedError      another user decided since the page was shown
    ├── ForbiddenError    the person's role does not allow it
    ├── RunError          a scoring run failed
    │   └── RunCancelledError      … because the user cancelled it
    └── ContractError     a detector was called against its contract
"""

from typing import Any

from core.errors.masking import masked


class HeatproofError(Exception):
    """Base of every error with a message for the user. A message may quote the database's driver: it holds no password."""

    def __init__(self, *parts: object) -> None:
        super().__init__(*(masked(part) if isinstance(part, str) else part for part in parts))


class InputError(HeatproofError):
    """A file, a column or an option cannot be used as given."""


class IngestCancelledError(HeatproofError):
    """An ingest was cancelled; nothing of the file in work is in the store."""


class StoreError(HeatproofError):
    """The store cannot be opened, read, backed up or restored."""


class StoreBusyError(StoreError):
    """Another process holds the store."""


class StoreAwayError(StoreError):
    """The server of a shared store's catalogue does not answer; what is asked again once it does is answered."""


class DiskFullError(HeatproofError):
    """A disk has no room for what is to be written; what was acknowledged before is kept."""


class ChangedError(HeatproofError):
    """What is acted on was decided by another person, or in another window, since it was shown; nothing was written.

    `changes` are `core.review.changes.Change` each: who, what, when, and what to expect where one goes on nevertheless.
    """

    def __init__(self, message: str, changes: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.changes = changes


class ForbiddenError(HeatproofError):
    """The role of the person who acts does not allow it; nothing was written but the refusal."""


class RunError(HeatproofError):
    """A scoring run failed; nothing of it is in the store."""


class RunCancelledError(RunError):
    """A scoring run was cancelled; nothing of it is in the store."""


class ContractError(HeatproofError):
    """A detector got input that its contract does not allow, or returned scores that it does not allow."""
