"""What DuckDB finds wrong with the bytes of a click log."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from core.errors import InputError

_NOT_THE_FILE = (
    duckdb.InterruptException,
    duckdb.OutOfMemoryException,
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what DuckDB finds wrong with a file's bytes into an InputError."""
    try:
        yield
    except _NOT_THE_FILE:
        raise
    except (duckdb.Error, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{path.name} cannot be read to its end; DuckDB says: {first} Copy or export it again.") from error
