"""What the collector of garbage need not look at."""

import gc
import sys
import threading

_lock = threading.Lock()
_n_modules = 0


def settle() -> None:
    """Leaves libraries out of garbage collection once they are loaded: Streamlit asks for a full one after every run of a page.

    That blocks all sessions for longer than most pages take (`benchmarks.dashboard.pages` shows it). Pages load libraries late, so it is
    done again when there are new ones.
    """
    global _n_modules
    with _lock:
        if len(sys.modules) > _n_modules:
            gc.collect()
            gc.freeze()
            _n_modules = len(sys.modules)
