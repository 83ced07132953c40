"""What holds for every kind of background work that pages and verbs start."""

import importlib.util
import typing
from collections import Counter
from dataclasses import FrozenInstanceError, fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from core.clicks.ingest import Options
from core.clicks.job import IngestRequest
from core.embeddings.request import MapRequest, MapTask
from core.jobs import plain
from core.jobs.kind import Kind
from core.models.audit.request import AuditRequest, AuditTask
from core.models.latent.request import LatentRequest
from core.models.selection.request import SelectionRequest
from core.models.training.request import TrainRequest
from core.runs.request import Request
from core.ui.session.kinds import ACTIONS, KINDS

ROOT = Path(__file__).parents[2]
SAMPLES: dict[str, list[Any]] = {
    "run": [Request(), Request(["knn"], [7], date(2026, 11, 1), deep="all", cascade=True, budget=0.5, engine="ray", ray_address="a:1")],
    "ingest": [IngestRequest([Path("/logs/a.csv")], {"banner_id": "creative"}, Options(known="add", uploaded=True, author="ana"))],
    "map": [MapRequest(None, "heatmap", "pca"), MapTask("heatmap", "mvu", "/f", "/w", "0190")],
    "audit": [AuditRequest(), AuditTask(10, None, ["simclr"], "/f", "/w", 3, ["knn"], 12, 13, 1)],
    "selection": [SelectionRequest("0190", 0.1, 20)],
    "training": [TrainRequest("simclr"), TrainRequest("cluster_count", True, 3, 1, "a/b", "/out")],
    "latent": [LatentRequest("0190", "bn-1", 60)],
}
MOST_SHARED = 5
"""Lines in a row that two job modules may have in common."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_keeps_the_contract(kind: Kind[Any, Any, Any]) -> None:
    assert kind.name.isidentifier()
    assert kind.title
    assert kind.name in ACTIONS
    assert 0 <= kind.share[0] < kind.share[1] <= 1
    if kind.worker:
        assert importlib.util.find_spec(kind.worker), "its worker can be started"
        assert kind.command[1:] == ("-m", kind.worker)
        assert 'if __name__ == "__main__":' in (ROOT / f"{kind.worker.replace('.', '/')}.py").read_text()
    else:
        assert type(kind).work is not Kind.work, "what has no worker does its work itself"
    for request in SAMPLES[kind.name]:
        assert is_dataclass(request)
        with pytest.raises(FrozenInstanceError):
            setattr(request, fields(request)[0].name, None)
        assert plain.load(type(request), plain.dump(request)) == request
    assert kind.words(SAMPLES[kind.name][0])


def test_every_kind_has_a_name_of_its_own_and_a_sample() -> None:
    assert Counter(kind.name for kind in KINDS) == Counter(SAMPLES.keys())
    assert set(ACTIONS) == set(SAMPLES)


def test_words_of_messages_do_without_however(tmp_path: Path) -> None:
    for kind in KINDS:
        source = Path(str(typing.cast(Any, importlib.import_module(type(kind).__module__)).__file__)).read_text()
        assert "however" not in source, kind.name


def test_no_two_job_modules_share_more_than_a_few_lines() -> None:
    runs: dict[tuple[str, ...], str] = {}
    for kind in KINDS:
        module = type(kind).__module__
        lines = [line.strip() for line in (ROOT / f"{module.replace('.', '/')}.py").read_text().splitlines()]
        lines = [line for line in lines if line and not line.startswith(("from ", "import "))]
        for k in range(len(lines) - MOST_SHARED):
            piece = tuple(lines[k : k + MOST_SHARED + 1])
            assert runs.setdefault(piece, module) == module, piece
