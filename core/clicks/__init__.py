"""Click log in, checked rows and bins out, as SQL over the files themselves.

    find_files   paths and folders -> the click logs in them
    open_source  one file -> its format, columns, and whether it needs repair
    match        column names -> which column holds which of our fields
    Judge        one source -> accepted (banner, day, bin) keys, rejects with reasons and lines

Every row read is accepted, or rejected with one reason and its line. Nothing here knows the store: a DuckDB cursor comes
in, temporary tables on it come out.
"""

from core.clicks.binning import Heat, heat_batches
from core.clicks.cancellable import Work
from core.clicks.columns import ALIASES, Match, match, matched_before
from core.clicks.source import Source, find_files, open_source
from core.clicks.validate import Judge

__all__ = [
    "ALIASES", "Heat", "Judge", "Match", "Source", "Work", "find_files", "heat_batches", "match", "matched_before", "open_source",
]  # fmt: skip
