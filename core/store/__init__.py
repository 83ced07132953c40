"""One DuckDB file, owned by one process, or a lake that several share: opening, locks, schema, queries by name, backup."""

from core.store.store import Store

__all__ = ["Store"]
