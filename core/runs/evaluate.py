"""How a finished run compares with the truth: per detector and for `combined`, per grid and in all.

Detectors are compared by their normalised scores, which do not depend on clicks and group. `combined` is judged by the
active flags; a single detector by the flags that its own p-values give under Benjamini-Hochberg at the run's rate.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.statistics.p_values import benjamini_hochberg
from core.store import Store
from core.store.queries.runs import last_finished, shown_of
from core.store.spelling import from_csv, known_id, spellings

Metrics = dict[str, float | int | None]
BROKEN = ("1", "1.0", "true", "yes", "broken")
NOT_BROKEN = ("0", "0.0", "false", "no", "ok")


def evaluate(store: Store, truth: Path, run_id: str | None = None) -> dict[str, Any]:
    """Compares a run (default: the latest finished one) with a CSV or Parquet file of `banner_id, broken` and optionally `fault`.

    Returns run_id, n_truth, n_matched, overall {name: metrics}, by_grid {grid_id: {name: metrics}}, fault_accuracy (share of
    the broken banners whose diagnosed fault is the true one; None without a fault column). Metrics that are not defined,
    as ROC-AUC where only one class is present, are None. Raises InputError for a truth that cannot be used.
    """
    run = last_finished(store, run_id)
    shown = shown_of(store, run["run_id"])
    with store.cursor() as cursor:
        has_fault = _read_truth(cursor, truth)
        n_truth = cursor.execute("SELECT count(*) FROM truth").fetchall()[0][0]
        columns = _matched(cursor, run["run_id"], shown)
        n_matched = len(columns["combined"]["broken"])
        if not n_matched:
            raise InputError(
                f"A truth file names banners of the run: none of the {n_truth} in {truth} is in run {run['run_id']}. "
                "Check the ids, or name the run with --run."
            )
        return {
            "run_id": run["run_id"],
            "n_truth": n_truth,
            "n_matched": n_matched,
            "overall": {name: _metrics(c["broken"], c["scores"], c["flagged"]) for name, c in columns.items()},
            "by_grid": _by_grid(columns),
            "fault_accuracy": _fault_accuracy(cursor, shown) if has_fault else None,
        }


def _read_truth(cursor: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Fills the temporary table truth (banner_id, broken, fault), one row a banner; True where the file has faults."""
    if not path.is_file():
        raise InputError(f"The truth is a CSV or Parquet file: {path} is no file. Check the path.")
    reader = "read_parquet(?)" if path.suffix == ".parquet" else "read_csv(?, header = true, all_varchar = true)"
    try:
        cursor.execute(f"CREATE TEMP TABLE truth_file AS FROM {reader}", [str(path)])
    except duckdb.Error as error:
        raise InputError(f"The truth is a CSV or Parquet file: {path} cannot be read: {str(error).splitlines()[0]}") from error
    names = [name for (name,) in cursor.execute("SELECT column_name FROM (DESCRIBE truth_file)").fetchall()]
    if not {"banner_id", "broken"} <= set(names):
        raise InputError(f"A truth file has the columns banner_id and broken: {path} has {', '.join(names)}. Rename them.")
    _find_banners(cursor, from_csv if path.suffix != ".parquet" else lambda cell: (cell,))
    fault = "nullif(trim(fault::VARCHAR), '')" if "fault" in names else "NULL"
    value = "lower(trim(broken::VARCHAR))"
    cursor.execute(
        f"""CREATE TEMP TABLE truth AS SELECT banner_id::VARCHAR AS banner_id, any_value({fault}) AS fault,
        CASE WHEN bool_and(coalesce({value} IN {BROKEN}, false)) THEN true
             WHEN bool_and(coalesce({value} IN {NOT_BROKEN}, false)) THEN false END AS broken,
        string_agg(DISTINCT coalesce({value}, 'empty'), ' and ') AS given
        FROM (SELECT t.* REPLACE (coalesce(m.banner_id, t.banner_id::VARCHAR) AS banner_id)
            FROM truth_file t LEFT JOIN truth_meant m ON t.banner_id::VARCHAR = m.written) WHERE banner_id IS NOT NULL GROUP BY ALL"""
    )
    wrong = cursor.execute("SELECT banner_id, given FROM truth WHERE broken IS NULL ORDER BY banner_id LIMIT 1").fetchall()
    if wrong:
        raise InputError(f"`broken` is 1 or 0, one value a banner: {path} says {wrong[0][1]!r} for {wrong[0][0]}. Correct it.")
    return "fault" in names


def _find_banners(cursor: duckdb.DuckDBPyConnection, meaning: Callable[[str], tuple[str, ...]]) -> None:
    """Fills truth_meant (written, banner_id): ids of the truth that the store spells in another way."""
    odd = "SELECT DISTINCT banner_id::VARCHAR FROM truth_file WHERE banner_id::VARCHAR NOT IN (SELECT banner_id FROM banner)"
    written = {text: meaning(text) for (text,) in cursor.execute(odd).fetchall() if text is not None}
    names = sorted({name for ids in written.values() for name in spellings(ids)})
    known = {
        n for (n,) in cursor.execute("SELECT banner_id FROM banner WHERE banner_id IN (SELECT unnest(?::VARCHAR[]))", [names]).fetchall()
    }
    meant = [(text, name) for text, ids in written.items() if (name := known_id(ids, known)) is not None]
    cursor.execute("CREATE TEMP TABLE truth_meant (written VARCHAR, banner_id VARCHAR)")
    if meant:
        texts, ids = zip(*meant, strict=True)
        cursor.execute("INSERT INTO truth_meant SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[])", [list(texts), list(ids)])


def _matched(cursor: duckdb.DuckDBPyConnection, run_id: str, shown: str) -> dict[str, dict[str, NDArray[Any]]]:
    """{name: {grid_id, broken, scores, flagged}}, rows = banners of the truth that the run scored; `combined` comes first."""
    known = "FROM result r JOIN truth t USING (banner_id) WHERE r.run_id = $run_id ORDER BY banner_id"
    sql = f"SELECT r.grid_id, t.broken, r.combined AS scores, r.flagged {known}"
    columns = {"combined": _arrays(cursor, sql, {"run_id": shown})}
    fdr = cursor.execute("SELECT fdr FROM run_info WHERE run_id = ?", [run_id]).fetchall()[0][0]
    names = cursor.execute("SELECT DISTINCT detector FROM score WHERE run_id = ? ORDER BY 1", [run_id]).fetchall()
    tiers = "SELECT coalesce(sum(n_cleared), 0), max_by(n_in, tier) FROM tier WHERE run_id = ?"
    n_cleared, n_left = cursor.execute(tiers, [run_id]).fetchall()[0]
    for (name,) in names:
        sql = """SELECT r.grid_id, coalesce(t.broken, false) AS broken, t.broken IS NOT NULL AS known, s.normalised AS scores, s.p_value
            FROM score s JOIN result r USING (run_id, banner_id) LEFT JOIN truth t USING (banner_id)
            WHERE s.run_id = $run_id AND s.detector = $detector ORDER BY banner_id"""
        all_rows = _arrays(cursor, sql, {"run_id": run_id, "detector": name})
        p_value = all_rows.pop("p_value")
        n_all = len(p_value) + (n_cleared if len(p_value) == n_left else 0)
        all_rows["flagged"] = benjamini_hochberg(p_value, fdr, n_all)  # over the run, not only what the truth names
        known_rows = all_rows.pop("known")
        columns[name] = {key: values[known_rows] for key, values in all_rows.items()}
    return columns


def _arrays(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any]) -> dict[str, NDArray[Any]]:
    return {key: np.asarray(values) for key, values in cursor.execute(sql, parameters).fetchnumpy().items()}


def _by_grid(columns: dict[str, dict[str, NDArray[Any]]]) -> dict[str, dict[str, Metrics]]:
    out: dict[str, dict[str, Metrics]] = {}
    for grid_id in np.unique(columns["combined"]["grid_id"]):
        out[str(grid_id)] = {}
        for name, c in columns.items():
            here = c["grid_id"] == grid_id
            if here.any():
                out[str(grid_id)][name] = _metrics(c["broken"][here], c["scores"][here], c["flagged"][here])
    return out


def _metrics(broken: NDArray[Any], scores: NDArray[Any], flagged: NDArray[Any]) -> Metrics:
    """roc_auc, average_precision of the scores; precision, recall, f1 of the flags; n, broken. None where not defined."""
    from sklearn.metrics import average_precision_score, roc_auc_score  # here, so that other verbs start without it

    hits, n_flagged, n_broken = int((broken & flagged).sum()), int(flagged.sum()), int(broken.sum())
    both = 0 < n_broken < len(broken)
    return {
        "roc_auc": float(roc_auc_score(broken, scores)) if both else None,
        "average_precision": float(average_precision_score(broken, scores)) if both else None,
        "precision": hits / n_flagged if n_flagged else None,
        "recall": hits / n_broken if n_broken else None,
        "f1": 2 * hits / (n_flagged + n_broken) if n_flagged + n_broken else None,
        "n": len(broken),
        "broken": n_broken,
    }


def _fault_accuracy(cursor: duckdb.DuckDBPyConnection, run_id: str) -> float | None:
    sql = """SELECT avg((coalesce(r.fault, '') = t.fault)::INTEGER) FROM result r JOIN truth t USING (banner_id)
        WHERE r.run_id = ? AND t.broken AND t.fault IS NOT NULL"""
    share: float | None = cursor.execute(sql, [run_id]).fetchall()[0][0]
    return share
