"""Evaluation: numbers done by hand, and truths that cannot be used."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError, RunError
from core.runs import run
from core.runs.evaluate import _metrics, evaluate
from core.store import Store
from core.store.queries import runs
from tests.support.unscored_store import fill, use_fake_worker

TRUTH = """banner_id,broken,fault
bn0039,1,hot_spot
bn0038,true,edge
bn0010,1,hot_spot
bn0000,0,
bn0020,0,
bn0030,FALSE,
elsewhere,1,edge
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """One finished run: every score of banner i is 10 + 5 i, its p-value 1 over that, flagged from 100 on."""
    use_fake_worker(monkeypatch)
    with Store(tmp_path / "s.duckdb") as store:
        fill(store)
        run.score(store)
        yield store


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "truth.csv"
    path.write_text(text)
    return path


def test_the_worked_example_of_roc_auc() -> None:
    # five images, broken ones second and third: 5 of 6 pairs stand the right way round
    found = _metrics(np.array([0, 1, 1, 0, 0], dtype=bool), np.array([11383.0, 256676, 862365, 152435, 848171]), np.zeros(5, dtype=bool))
    assert found["roc_auc"] == pytest.approx(0.8333, abs=1e-4)


def test_numbers_done_by_hand(store: Store, tmp_path: Path) -> None:
    found = evaluate(store, written(tmp_path, TRUTH))
    assert (found["n_truth"], found["n_matched"]) == (7, 6)
    combined = found["overall"]["combined"]
    # by score: 39 broken, 38 broken, 30, 20, 10 broken, 0; the first four are flagged
    assert combined["roc_auc"] == pytest.approx(7 / 9)
    assert combined["average_precision"] == pytest.approx((1 + 1 + 3 / 5) / 3)
    assert (combined["precision"], combined["recall"], combined["f1"]) == (2 / 4, 2 / 3, 4 / 7)
    assert (combined["n"], combined["broken"]) == (6, 3)
    assert found["fault_accuracy"] == pytest.approx(1 / 3)


def test_a_detector_is_judged_by_the_flags_of_its_own_p_values(store: Store, tmp_path: Path) -> None:
    # the largest of 40 p-values is 0.1 = 0.1 * 40 / 40, so Benjamini-Hochberg at 10 % rejects them all
    found = evaluate(store, written(tmp_path, TRUTH))["overall"]["chi_squared"]
    assert (found["precision"], found["recall"], found["f1"]) == (3 / 6, 1.0, 6 / 9)


def test_benjamini_hochberg_counts_the_whole_run(store: Store, tmp_path: Path) -> None:
    with store.transaction() as cursor:
        cursor.execute("UPDATE score SET p_value = 0.5 WHERE score < 200")
        cursor.execute("UPDATE score SET p_value = CASE score WHEN 205 THEN 0.004 ELSE 0.005 END WHERE score >= 200")
    # 2 of 40: 0.004 > 0.1 / 40, but 0.005 = 0.2 / 40 is rejected and takes the smaller one along
    found = evaluate(store, written(tmp_path, TRUTH))["overall"]["chi_squared"]
    assert (found["precision"], found["recall"]) == (2 / 2, 2 / 3)


def test_a_grid_with_one_class_has_no_curve(store: Store, tmp_path: Path) -> None:
    by_grid = evaluate(store, written(tmp_path, TRUTH))["by_grid"]
    assert list(by_grid) == ["310021", "333519"]
    assert by_grid["310021"]["combined"]["roc_auc"] == pytest.approx(4 / 6)
    alone = by_grid["333519"]["combined"]
    assert (alone["roc_auc"], alone["average_precision"], alone["recall"], alone["n"]) == (None, None, 1.0, 1)


def test_without_faults_there_is_no_fault_accuracy(store: Store, tmp_path: Path) -> None:
    found = evaluate(store, written(tmp_path, "banner_id,broken\nbn0000,0\nbn0001,0\n"))
    assert found["fault_accuracy"] is None
    assert found["overall"]["combined"] == {
        "roc_auc": None,
        "average_precision": None,
        "precision": None,
        "recall": None,
        "f1": None,
        "n": 2,
        "broken": 0,
    }


def test_a_parquet_truth_and_a_named_run(store: Store, tmp_path: Path) -> None:
    first = runs.last_finished(store)["run_id"]
    run.score(store)
    with store.cursor() as cursor:
        cursor.execute(f"COPY (SELECT 'bn0039' AS banner_id, true AS broken) TO '{tmp_path / 't.parquet'}'")
    assert evaluate(store, tmp_path / "t.parquet", first)["run_id"] == first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("banner,broken\na,1\n", ": .* has banner, broken"),
        ("banner_id,broken\nbn0001,maybe\n", "says 'maybe' for bn0001"),
        ("banner_id,broken\nbn0001,\n", "says 'empty' for bn0001"),
        ("banner_id,broken\nbn0001,1\nbn0001,0\n", "bn0001. Correct it"),
        ("banner_id,broken\nnobody,1\n", "none of the 1 in"),
        ("", "banner_id and broken"),
    ],
)
def test_truths_that_cannot_be_used(store: Store, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(store, written(tmp_path, text))


def test_missing_files_and_runs(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no file"):
        evaluate(store, tmp_path / "nowhere.csv")
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="cannot be read"):
        evaluate(store, tmp_path / "bad.parquet")
    with Store(tmp_path / "new.duckdb") as empty, pytest.raises(RunError, match="needs a finished run"):
        evaluate(empty, written(tmp_path, TRUTH))
