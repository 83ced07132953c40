"""Checksums of Parquet pages: DuckDB reads past them, so pages that have one are verified before.

Writers may put a CRC-32 into the header of each page (Spark does, pyarrow on demand, DuckDB does not). Bits that flipped in such
a page are found here. Nothing guards pages without one, nor the footer; text in gzip has a checksum of its own.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import InputError

_I32 = 0x15
"""A Thrift field header: the next field, a 32-bit integer."""


def verify_pages(path: Path, columns: list[str]) -> None:
    """Reads these columns' pages against their checksums, where the first page has one. Raises InputError for a page that differs."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if _has_checksum(path, file.metadata):
                for _ in file.iter_batches(columns=[name for name in columns if name in file.schema_arrow.names]):
                    pass
    except (pa.ArrowException, OSError) as error:
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise InputError(f"{path.name} is damaged: {first}. Copy or export it again.") from error


def _has_checksum(path: Path, metadata: pq.FileMetaData) -> bool:
    """The header of the first page has fields 1 to 4 in a row: type, two sizes, CRC."""
    if not metadata.num_row_groups or not metadata.num_columns:
        return False
    chunk = metadata.row_group(0).column(0)
    with path.open("rb") as file:
        file.seek(chunk.dictionary_page_offset or chunk.data_page_offset)
        header = file.read(32)
    at = 0
    for _ in range(3):
        if at >= len(header) or header[at] != _I32:
            return False
        at += 1
        while at < len(header) and header[at] & 0x80:  # a varint ends with the first byte below 128
            at += 1
        at += 1
    return at < len(header) and header[at] == _I32
