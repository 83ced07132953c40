"""A small store filled by numpy and SQL, for tests of pages and queries only. Nothing in it was scored by a detector."""

import json
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.settings import N_BINS, N_COLS, N_ROWS
from core.store import Store

GRIDS = (333346, 333519, 310021, 312007)
FAULTS = ("shifted", "scaled", "mirrored", "hot_spot", "clipped", "missing_product", "uniform", "edge", "close_corner", "other_grid")
DETECTORS = {"multinomial": "density", "chi_squared": "counts", "kl_divergence": "information", "likelihood_ratio": "templates"}
FIRST_DAY, N_DAYS = date(2026, 11, 1), 14
HOSTILE = "<script>alert(1)</script>"


def filled_store(path: Path | str, n_banners: int = 400, seed: int = 0, hostile: bool = False) -> Store:
    """A store with one ingest with rejects, one finished and one failed run, and plausible rows in every table.

    A tenth of the first grid and a twentieth of the others is flagged; the last grid has only 12 banners. With
    `hostile`, some ids, domains and sentences try to be markup, SQL and formulas.
    """
    store = Store(path)
    fill_store(store, n_banners, seed, hostile)
    return store


def fill_store(store: Store, n_banners: int, seed: int, hostile: bool) -> None:
    """Fills an empty store as `filled_store` does."""
    rng = np.random.default_rng(seed)
    facts = _facts(rng, n_banners, hostile)
    run_id, ingest_id = str(uuid.UUID(int=seed + 1)), str(uuid.UUID(int=seed + 1000))
    with store.transaction() as cursor:
        _fill_ingest(cursor, ingest_id, facts)
        _fill_heatmaps(cursor, ingest_id, facts, rng)
        _fill_run(cursor, run_id, facts, rng)


def expected_p(grid: int) -> NDArray[np.float64]:
    """(1600,) layout of a grid: three tiles."""
    rng = np.random.default_rng(grid)
    rows, cols = np.divmod(np.arange(N_BINS), N_COLS)
    p = np.full(N_BINS, 0.03 / N_BINS)
    for k in range(3):
        y, x = rng.uniform(8, 32), 7 + 13 * k
        p += 0.32 * np.exp(-((rows - y) ** 2) / 32 - (cols - x) ** 2 / 18) / (2 * np.pi * 12)
    return p / p.sum()


def _facts(rng: np.random.Generator, n: int, hostile: bool) -> dict[str, Any]:
    grid = np.array(GRIDS)[rng.integers(0, 3, n)]
    grid[: min(12, n)] = GRIDS[3]
    banner = [f"bn-{i:06d}" for i in range(n)]
    domain = [f"site{k:03d}.example" for k in rng.integers(0, 12, n)]
    flagged = rng.random(n) < np.where(grid == GRIDS[0], 0.15, 0.05)
    if hostile:
        flagged[20:24] = True
        banner[20:24] = [HOSTILE, "'; DROP TABLE result; --", "=1+1", "[x](javascript:alert(1)) **b** $a$ :red[r]"]
        domain[20:24] = [HOSTILE, "=cmd|' /C calc'!A0", "+1+1", "@SUM(A1)"]
    return {
        "banner_id": banner,
        "grid_id": grid.astype(np.int64),
        "n_products": rng.integers(1, 6, n).astype(np.int16),
        "domain": domain,
        "n_clicks": np.maximum(5, rng.lognormal(np.log(180), 0.8, n)).astype(np.int64),
        "flagged": flagged,
    }


def _insert(cursor: Any, table: str, columns: dict[str, Any]) -> None:
    batch = pa.table({name: pa.array(values) for name, values in columns.items()})
    cursor.register("batch_to_insert", batch)
    cursor.execute(f"INSERT INTO {table} BY NAME SELECT * FROM batch_to_insert")
    cursor.unregister("batch_to_insert")


def _insert_rows(cursor: Any, table: str, names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    if rows:
        _insert(cursor, table, dict(zip(names, zip(*rows, strict=True), strict=True)))


def _fill_ingest(cursor: Any, ingest_id: str, facts: dict[str, Any]) -> None:
    n, clicks = len(facts["banner_id"]), int(facts["n_clicks"].sum())
    done = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=3)
    row = [ingest_id, "clicks-2026-11.csv.gz", "f" * 64, clicks * 80, clicks + 6, clicks, 6, n, FIRST_DAY]
    row += [FIRST_DAY + timedelta(days=N_DAYS - 1), "{}", done - timedelta(seconds=9), done]
    cursor.execute(f"INSERT INTO ingest VALUES ({', '.join('?' * len(row))})", row)
    for line, reason, raw in ((7, "coordinate outside 0..1", "b1,5,1,s.example,1.2,0.3"), (9, "coordinate empty", "=1+1,5,1,<b>,,0.3")):
        for more in range(3):
            cursor.execute(
                "INSERT INTO reject VALUES (?, ?, ?, ?, ?, ?)", [ingest_id, "clicks-2026-11.csv.gz", line + more, reason, "1.2", raw]
            )
    n = len(facts["banner_id"])
    _insert(cursor, "banner", {k: facts[k] for k in ("banner_id", "grid_id", "n_products", "domain")} | {"ingest_id": [ingest_id] * n})


def _fill_heatmaps(cursor: Any, ingest_id: str, facts: dict[str, Any], rng: np.random.Generator) -> None:
    rows: dict[str, list[Any]] = {k: [] for k in ("ingest_id", "banner_id", "day", "n_clicks", "bins", "counts")}
    for i in np.argsort(facts["banner_id"]):
        p = expected_p(int(facts["grid_id"][i]))
        if facts["flagged"][i]:
            p = np.roll(p.reshape(N_ROWS, N_COLS), 7, axis=1).ravel()
        for day, n in enumerate(rng.multinomial(facts["n_clicks"][i], np.full(N_DAYS, 1 / N_DAYS))):
            if n == 0:
                continue
            bins, counts = np.unique(rng.choice(N_BINS, n, p=p), return_counts=True)
            values = (ingest_id, facts["banner_id"][i], FIRST_DAY + timedelta(days=day), int(n), bins.tolist(), counts.tolist())
            for name, value in zip(rows, values, strict=True):
                rows[name].append(value)
    _insert(cursor, "heatmap_day", rows)


def _fill_run(cursor: Any, run_id: str, facts: dict[str, Any], rng: np.random.Generator) -> None:
    n, flagged = len(facts["banner_id"]), facts["flagged"]
    end = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=2)
    start = end - timedelta(seconds=21)
    failed = str(uuid.UUID(int=uuid.UUID(run_id).int + 77))
    for run, state, at in ((run_id, "started", start), (run_id, "finished", end), (failed, "started", start), (failed, "failed", start)):
        detail = json.dumps({"error": "The worker ended with exit status 1: 0 is expected. Read the log."}) if state == "failed" else None
        cursor.execute("INSERT INTO run_event VALUES (?, ?, ?, ?)", [run, at, state, detail])
    strength = np.where(flagged, rng.normal(6, 1, n), rng.normal(0, 1, n))
    p_broken = np.where(flagged, rng.uniform(0.7, 1, n), rng.uniform(0, 0.3, n))
    info = [run_id, start, end, FIRST_DAY, FIRST_DAY + timedelta(days=N_DAYS - 1), None, n, int(facts["n_clicks"].sum())]
    info += [int(flagged.sum()), float((1 - p_broken)[flagged].sum()), 0.1, 21.0, json.dumps({"seed": 0, "version": "0.1.0"})]
    cursor.execute(f"INSERT INTO run_info VALUES ({', '.join('?' * len(info))})", info)
    for name, family in DETECTORS.items():
        cursor.execute("INSERT INTO run_detector VALUES (?, ?, ?, 'heatmaps', 0.5, 0.1, ?, NULL)", [run_id, name, family, n])
    for k, grid in enumerate(GRIDS):
        p = expected_p(grid).astype(np.float32).tolist()
        cursor.execute("INSERT INTO reference VALUES (?, ?, ?, NULL, NULL, 100, 20000, ?)", [run_id, k, grid, p])
    _fill_results(cursor, run_id, facts, strength, p_broken, rng)


def _fill_results(cursor: Any, run_id: str, facts: dict[str, Any], strength: Any, p_broken: Any, rng: np.random.Generator) -> None:
    n, flagged = len(facts["banner_id"]), facts["flagged"]
    position = np.empty(n, dtype=np.int32)
    position[np.argsort(-strength, kind="stable")] = np.arange(1, n + 1)
    fault = np.where(flagged, np.array(FAULTS, dtype=object)[rng.integers(0, len(FAULTS), n)], np.array(None, dtype=object))
    size = rng.uniform(0.1, 0.4, n)
    since = [FIRST_DAY + timedelta(days=int(d)) if f else None for d, f in zip(rng.integers(0, N_DAYS, n), flagged, strict=True)]
    sentence = [f"{str(f).capitalize().replace('_', ' ')} by {s:.2f}." if f else None for f, s in zip(fault, size, strict=True)]
    if HOSTILE in facts["banner_id"]:
        sentence[20] = f"{HOSTILE} **bold** [x](http://evil.example)"
    columns = {k: facts[k] for k in ("banner_id", "grid_id", "n_products", "domain", "n_clicks", "flagged")} | {
        "run_id": [run_id] * n, "reference_id": [GRIDS.index(g) for g in facts["grid_id"]], "combined": strength,
        "p_value": np.where(flagged, rng.uniform(1e-6, 0.01, n), rng.uniform(0.05, 1, n)), "p_broken": p_broken, "position": position,
        "n_agree": np.where(flagged, 3, 0).astype(np.int16), "n_detectors": np.full(n, len(DETECTORS), dtype=np.int16),
        "fault": fault.tolist(), "fault_size": np.where(flagged, size, np.nan), "fault_detail": [None] * n,
        "log_odds": np.where(flagged, 6.8, -1.0), "runner_up": ["scaled" if f else None for f in flagged], "margin": np.full(n, 2.6),
        "sentence": sentence, "since": since,
    }  # fmt: skip
    _insert(cursor, "result", columns)
    for name in DETECTORS:
        z = strength + rng.normal(0, 0.5, n)
        row = {"run_id": [run_id] * n, "banner_id": facts["banner_id"], "detector": [name] * n}
        _insert(cursor, "score", row | {"score": 3 * z + 10, "normalised": z, "p_value": np.exp(-np.maximum(z, 0))})
    _fill_days(cursor, run_id, facts, since)
    cursor.execute(
        """INSERT INTO heatmap SELECT r.run_id, r.banner_id, r.position, list(bin ORDER BY bin), list(n ORDER BY bin) FROM result r
           JOIN (SELECT banner_id, bin, sum(n)::UINTEGER AS n
                 FROM (SELECT banner_id, unnest(bins) AS bin, unnest(counts) AS n FROM heatmap_day) GROUP BY ALL)
           USING (banner_id) WHERE r.flagged GROUP BY ALL ORDER BY r.position"""
    )


def _fill_days(cursor: Any, run_id: str, facts: dict[str, Any], since: list[date | None]) -> None:
    days = [FIRST_DAY + timedelta(days=k) for k in range(N_DAYS)]
    rows = []
    for grid in np.unique(facts["grid_id"]):
        mine = [s for s, g in zip(since, facts["grid_id"], strict=True) if g == grid]
        rows += [(run_id, int(grid), day, len(mine), sum(s is not None and s <= day for s in mine), mine.count(day)) for day in days]
    _insert_rows(cursor, "run_day", ("run_id", "grid_id", "day", "n_banners", "n_broken", "n_new"), rows)
    flagged = [(banner_id, first) for banner_id, first in zip(facts["banner_id"], since, strict=True) if first]
    said = [(run_id, banner_id, day, 12, 4.0 if day >= first else -1.5) for banner_id, first in flagged for day in days]
    _insert_rows(cursor, "evidence", ("run_id", "banner_id", "day", "n_clicks", "log_odds"), said)
