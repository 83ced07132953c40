"""What a server leaves out of garbage collection."""

import gc
import sys
from types import ModuleType

import pytest

from core.ui.server import memory


def test_libraries_are_left_out_again_only_when_there_are_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    memory.settle()
    settled = gc.get_freeze_count()
    assert settled > 10_000
    made = [[k] for k in range(1000)]
    memory.settle()
    assert gc.get_freeze_count() <= settled
    monkeypatch.setitem(sys.modules, "a_library_that_a_page_needs", ModuleType("a_library_that_a_page_needs"))
    memory.settle()
    assert gc.get_freeze_count() >= settled + len(made)
    gc.unfreeze()
