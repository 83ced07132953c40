"""A worker that keeps the job folder's contract and computes next to nothing, so that runs can be tested by themselves.

`python tests/support/fake_worker.py JOBDIR`. A banner's every score is its number of clicks; banners with 100 clicks or more are flagged.
FAKE_WORKER says how it behaves: ok, slow (waits between its steps), error (a user's), crash, killed, hang, incomplete, miscounted.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import duckdb

BANNERS = """SELECT banner_id, grid_id::BIGINT AS grid_id, n_products, domain, sum(list_sum(counts))::BIGINT AS n_clicks
    FROM read_parquet('{job}/heatmaps/*/*.parquet', hive_partitioning = true) GROUP BY ALL"""
TABLES = {
    "result": """SELECT banner_id, grid_id, n_products::SMALLINT AS n_products, domain, n_clicks, 0 AS reference_id,
        n_clicks::DOUBLE AS combined, 1.0 / n_clicks AS p_value, 0.5 AS p_broken, n_clicks >= 100 AS flagged,
        row_number() OVER (ORDER BY n_clicks DESC, banner_id)::INTEGER AS position, 1::SMALLINT AS n_agree, 1::SMALLINT AS n_detectors,
        CASE WHEN n_clicks >= 100 THEN 'hot_spot' END AS fault, 0.5 AS fault_size, '{"cell": 3}' AS fault_detail, 2.0 AS log_odds,
        'edge' AS runner_up, 1.0 AS margin, 'A hot spot.' AS sentence, NULL::DATE AS since FROM banners""",
    "score": """SELECT banner_id, d AS detector, n_clicks::DOUBLE AS score, n_clicks::DOUBLE AS normalised, 1.0 / n_clicks AS p_value
        FROM banners, (VALUES ('chi_squared'), ('multinomial')) t(d) ORDER BY n_clicks""",
    "heatmap": """SELECT banner_id, row_number() OVER (ORDER BY banner_id)::INTEGER AS position, [0::USMALLINT] AS bins,
        [n_clicks::UINTEGER] AS counts FROM banners WHERE n_clicks >= 100""",
    "evidence": "SELECT banner_id, DATE '2026-11-01' AS day, n_clicks, 1.0 AS log_odds FROM banners WHERE n_clicks >= 100",
    "reference": """SELECT 0 AS reference_id, min(grid_id) AS grid_id, NULL::SMALLINT AS n_products,
        NULL::VARCHAR AS domain, count(*) AS n_banners, sum(n_clicks)::BIGINT AS n_clicks,
        [1 / 1600::FLOAT for _ in range(1600)] AS p FROM banners""",
    "run_detector": """SELECT 'chi_squared' AS detector, 'distribution' AS family, 'heatmaps' AS reads, 0.1 AS fit_s, 0.2 AS score_s,
        count(*) AS n_scored, NULL::VARCHAR AS weights FROM banners""",
    "run_day": """SELECT grid_id, DATE '2026-11-01' AS day, count(*) AS n_banners, 0::BIGINT AS n_broken, 0::BIGINT AS n_new
        FROM banners GROUP BY grid_id""",
    "grid_change": """SELECT grid_id, DATE '2026-11-01' AS since, true AS is_within, 0.5 AS moved, 1.0 AS n_before, 1.0 AS n_after,
        'shifted' AS fault, 'Shifted right by 0.18.' AS sentence FROM banners WHERE false""",
    "stranger": """SELECT banner_id, grid_id, 0.0 AS score, grid_id AS nearest_grid_id, false AS fits_none, false AS held_back
        FROM banners WHERE false""",
}


def say(**message: object) -> None:
    print(json.dumps(message), flush=True)


def main(job: Path, behaviour: str) -> None:
    asked = json.loads((job / "request.json").read_text())
    if behaviour == "error":
        say(error=f"Detectors are named as in the catalogue, however {asked['detectors']} is not. Choose another.")
        sys.exit(2)
    if behaviour == "crash":
        raise ZeroDivisionError("a planted bug")
    if behaviour == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    con = duckdb.connect()
    con.execute("CREATE TABLE banners AS " + BANNERS.format(job=job))
    for i, (table, sql) in enumerate(TABLES.items()):
        say(done=i / len(TABLES), what=f"writing {table}")
        if behaviour in ("slow", "hang"):
            time.sleep(3600 if behaviour == "hang" else 0.08)
        if behaviour == "incomplete" and table == "evidence":
            continue
        (job / "out" / table).mkdir(parents=True)
        con.execute(f"COPY ({sql}) TO '{job}/out/{table}/part.parquet'")
    n_banners, n_clicks, n_flagged = con.execute("SELECT count(*), sum(n_clicks), count_if(n_clicks >= 100) FROM banners").fetchall()[0]
    summary = {
        "n_banners": n_banners + (behaviour == "miscounted"),
        "n_clicks": int(n_clicks),
        "n_flagged": n_flagged,
        "n_false_expected": 0.5,
        "first_day": "2026-11-01",
        "last_day": "2026-11-02",
        "settings": {"seed": asked["seed"], "numpy": "2"},
    }
    (job / "out" / "summary.json").write_text(json.dumps(summary))
    say(done=1.0, what="done")


if __name__ == "__main__":
    main(Path(sys.argv[1]), os.environ.get("FAKE_WORKER", "ok"))
