"""Maximum variance unfolding against its limits: accuracy, speed beside general conic solvers, size, quality of the map, new rows.

    python -m benchmarks.unfolding.mvu [exact] [clarabel] [scaled] [large] [quality] [placing] [--seed 0]

Every measurement runs in a process of its own on one core; memory is what a solver added. Seconds are wall time, to be held against
limits on an otherwise idle core, with CPU seconds in brackets; how many times faster a solver is compares CPU seconds. No part
named: all.
"""

import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.manifold import trustworthiness
from threadpoolctl import threadpool_limits

from benchmarks.unfolding.conic import clarabel_solution, scs_solution
from benchmarks.unfolding.manifolds import heat, swiss
from core.embeddings.alignment import fit_alignment
from core.embeddings.mvu import MVU
from core.embeddings.pca import PCA
from core.embeddings.unfolding.certificate import certify
from core.embeddings.unfolding.exact import solve_exactly
from core.embeddings.unfolding.graph import make_graph
from core.embeddings.unfolding.neighbours import Neighbours
from core.embeddings.unfolding.preview import unfold_coarsely
from core.embeddings.unfolding.problem import Problem, make_problem
from core.embeddings.unfolding.scaled import solve_scaled

Floats = NDArray[np.float64]
DATA: dict[str, Callable[[int, int], NDArray[Any]]] = {"swiss": swiss, "heat": heat}
FORMS = {"<=": 1.0, "l=.9": 0.1}
SOLVERS: dict[str, Callable[[Problem], tuple[Floats, float]]] = {
    "own": lambda problem: (lambda exact: (exact.K, exact.gap))(solve_exactly(problem)),
    "clarabel": lambda problem: (clarabel_solution(problem), np.nan),
    "scs": lambda problem: (scs_solution(problem), np.nan),
}
"""K and, where known, the relative gap."""


class Row(NamedTuple):
    """One line of the table."""

    what: str
    measured: str
    limit: str
    is_reached: bool


Found = dict[str, Any]


def main(parts: Annotated[list[str] | None, typer.Argument()] = None, seed: int = 0) -> None:
    """Prints a table a part, a line a limit, reached or not, and each line as soon as it is measured to stderr. `seed`: of the data."""
    known: dict[str, Callable[[int], Iterator[Row]]] = {
        "exact": exact_rows,
        "clarabel": clarabel_rows,
        "scaled": scaled_rows,
        "large": large_rows,
        "quality": quality_rows,
        "placing": placing_rows,
    }
    unknown = set(parts or []) - set(known)
    if unknown:
        raise typer.BadParameter(f"The parts are {', '.join(known)}: {', '.join(sorted(unknown))} was named.")
    console, progress = Console(width=120), Console(stderr=True, width=120)
    n_missed, start = 0, time.perf_counter()
    for part in parts or known:
        table = Table("what", "measured", "limit", "", title=part)
        for row in known[part](seed):
            progress.print(f"{row.what}: {row.measured}, limit {row.limit}", highlight=False)
            table.add_row(row.what, row.measured, row.limit, "reached" if row.is_reached else "[bold]missed[/bold]")
            n_missed += not row.is_reached
        console.print(table)
    took = time.perf_counter() - start
    console.print(f"{n_missed} missed. One core; trustworthiness over 12 neighbours; seed {seed}; {took / 60:.0f} minutes.")


@cache
def alone(function: Callable[..., Found], *arguments: Any) -> Found:
    """What a function gives in a fresh process on one core."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_limited, function, arguments).result()


def _limited(function: Callable[..., Found], arguments: tuple[Any, ...]) -> Found:
    with threadpool_limits(1):
        return function(*arguments)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Clock:
    """Wall and CPU seconds since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


def posed(data: str, n: int, slack: float, seed: int, k: int = 6, n_bridges: int = 5) -> Problem:
    graph = make_graph(Neighbours(DATA[data](n, seed)), k, n_bridges)
    return make_problem(n, graph.i, graph.j, graph.squared, slack)


def in_time(what: str, seconds: tuple[float, float], limit: float) -> Row:
    wall, cpu = seconds
    return Row(f"{what}, s (CPU)", f"{wall:.2f} ({cpu:.2f})", str(limit), wall <= limit)


# --- exact tier ----------------------------------------------------------------------------------------------------------------


def solve_alone(solver: str, data: str, n: int, slack: float, seed: int) -> Found:
    """Seconds, added memory and accuracy of a solver on one problem."""
    problem = posed(data, n, slack, seed)
    SOLVERS[solver](posed("swiss", 12, slack, seed))  # the import is no part of the solution
    before, clock = peak_mb(), Clock()
    K, gap = SOLVERS[solver](problem)
    found: Found = {"seconds": clock.read(), "mb": peak_mb() - before, "variance": float(np.trace(K)), "gap": gap}
    d, values = np.diag(K), np.linalg.eigvalsh(K)
    lengths = d[problem.i] + d[problem.j] - 2 * K[problem.i, problem.j]
    found |= {"violation": float(problem.violation(lengths).max()), "lowest": float(values[0] / values[-1])}
    return found | {"centre": float(np.abs(K.sum(axis=1)).max() / np.trace(K))}


def exact_rows(seed: int) -> Iterator[Row]:
    for n, seconds in [(300, 4), (500, 15), (1000, 120)]:
        for data in DATA:
            for form, slack in FORMS.items():
                found, what = alone(solve_alone, "own", data, n, slack, seed), f"{data} {n:,} {form}"
                yield Row(f"{what}: relative gap", f"{found['gap']:.1e}", "1e-6", found["gap"] <= 1e-6)
                yield Row(f"{what}: largest violation", f"{found['violation']:.1e}", "1e-6", found["violation"] <= 1e-6)
                yield Row(f"{what}: lowest / highest eigenvalue", f"{found['lowest']:.1e}", "-1e-8", found["lowest"] >= -1e-8)
                yield Row(f"{what}: |K1| / tr K", f"{found['centre']:.1e}", "1e-8", found["centre"] <= 1e-8)
                yield in_time(f"{what}: exact tier", found["seconds"], seconds)
                if n == 1000:
                    yield Row(f"{what}: added MB", f"{found['mb']:.0f}", "1000", found["mb"] <= 1000)


def clarabel_rows(seed: int) -> Iterator[Row]:
    for n in (50, 100):
        for form, slack in FORMS.items():
            own, theirs = (alone(solve_alone, solver, "swiss", n, slack, seed) for solver in ("own", "clarabel"))
            what, off = f"swiss {n} {form}", abs(own["variance"] / theirs["variance"] - 1)
            yield Row(f"{what}: objective off Clarabel's", f"{off:.1e}", "1e-6", off <= 1e-6)
            if n == 100:
                yield faster(f"{what}: times faster than Clarabel", own, theirs, 50)
                yield Row(f"{what}: added MB", f"{own['mb']:.0f} beside {theirs['mb']:.0f}", "1/20", own["mb"] <= theirs["mb"] / 20)
                yield faster(f"{what}: times faster than SCS 1e-4", own, alone(solve_alone, "scs", "swiss", n, slack, seed), 20)


def faster(what: str, own: Found, theirs: Found, limit: int) -> Row:
    (_, ours), (_, other) = own["seconds"], theirs["seconds"]
    off = theirs["violation"]
    return Row(what, f"{other / ours:.0f} ({other:.1f} / {ours:.2f} s, edges off {off:.0e})", str(limit), other / ours >= limit)


# --- scaled tier ---------------------------------------------------------------------------------------------------------------


def scale_alone(data: str, n: int, slack: float, seed: int, start: int | None = None) -> Found:
    """Graph, preview and scaled solution from it, or from a random start, with the seconds of each and the certificate."""
    X, clock = DATA[data](n, seed), Clock()
    graph = make_graph(Neighbours(X), 6, 5)
    problem, graphed = make_problem(n, graph.i, graph.j, graph.squared, slack), clock.read()
    clock = Clock()
    places = unfold_coarsely(problem) if start is None else np.random.default_rng(start).standard_normal((n, 10))
    previewed, clock = clock.read(), Clock()
    scaled = solve_scaled(problem, places)
    done = clock.read()
    found = certify(problem, scaled.points, scaled.upper_bound)._asdict()
    return found | {"graph": graphed, "preview": previewed, "seconds": done, "mb": peak_mb()}


def scaled_rows(seed: int) -> Iterator[Row]:
    for n in (500, 1000):
        for form, slack in FORMS.items():
            what = f"heat {n:,} {form}"
            exact, found = alone(solve_alone, "own", "heat", n, slack, seed), alone(scale_alone, "heat", n, slack, seed)
            ratio = found["variance"] / exact["variance"]
            yield Row(f"{what}: objective / exact", f"{ratio:.5f}", "0.999 to 1.001", abs(ratio - 1) <= 1e-3)
            yield Row(f"{what}: violation, 99th percentile", f"{found['violation_p99']:.1e}", "5e-4", found["violation_p99"] <= 5e-4)
            if n < 1000:
                continue
            share = found["seconds"][1] / exact["seconds"][1]
            yield Row(f"{what}: share of exact CPU seconds", f"1/{1 / share:.1f} ({found['seconds'][1]:.1f} s)", "1/5", share <= 1 / 5)
            if form == "<=":
                lower = found["lower_bound"] / exact["variance"]
                yield Row(f"{what}: lower bound / exact", f"{lower:.5f}", "0.999", lower >= 0.999)
                yield Row(f"{what}: upper / lower bound", f"{found['ratio']:.4f}", "1.01", found["ratio"] <= 1.01)
    for form, slack in FORMS.items():
        starts = [alone(scale_alone, "heat", 500, slack, seed, *start)["variance"] for start in [(), (1,), (2,), (3,)]]
        spread = max(starts) / min(starts) - 1
        yield Row(f"heat 500 {form}: four starts differ by", f"{spread:.1e}", "1e-3", spread <= 1e-3)


def large_rows(seed: int) -> Iterator[Row]:
    for form, slack in reversed(FORMS.items()):
        found, what = alone(scale_alone, "heat", 10_000, slack, seed), f"heat 10,000 {form}"
        for part, limit in [("graph", 15), ("preview", 1.5), ("seconds", 75)]:
            yield in_time(f"{what}: {part.replace('seconds', 'scaled tier')}", found[part], limit)
        yield Row(f"{what}: violation, 99th percentile", f"{found['violation_p99']:.1e}", "1e-3", found["violation_p99"] <= 1e-3)
        yield Row(f"{what}: violation, mean", f"{found['violation_mean']:.1e}", "1e-4", found["violation_mean"] <= 1e-4)
        yield Row(f"{what}: peak MB of the process", f"{found['mb']:.0f}", "1500", found["mb"] <= 1500)
        if form == "<=":
            yield Row(f"{what}: upper / lower bound", f"{found['ratio']:.4f}", "1.08", found["ratio"] <= 1.08)


# --- quality and new rows ------------------------------------------------------------------------------------------------------


def quality_alone(data: str, n: int, slack: float, seed: int, n_bridges: int = 5) -> Found:
    """Trustworthiness in two and three dimensions, and that of principal components."""
    X = DATA[data](n, seed)
    mvu = MVU(slack=slack, n_bridges=n_bridges).fit(X)
    maps = {"T2": mvu.points_[:, :2], "T3": mvu.points_, "pca": PCA(2).fit(X).points_}
    return {name: float(trustworthiness(X, places, n_neighbors=12)) for name, places in maps.items()}


def quality_rows(seed: int) -> Iterator[Row]:
    for n in (300, 500, 2000):
        found = alone(quality_alone, "heat", n, FORMS["l=.9"], seed)
        gain = found["T2"] - found["pca"]
        yield Row(f"heat {n} l=.9: T 2-D above PCA's", f"{gain:+.3f} ({found['T2']:.3f})", "+0.015", gain >= 0.015)
        yield Row(f"heat {n} l=.9: T 3-D", f"{found['T3']:.3f}", "0.985", found["T3"] >= 0.985)
    for n in (500, 1000, 2000):
        found = alone(quality_alone, "swiss", n, FORMS["l=.9"], seed)
        yield Row(f"swiss {n} l=.9: T 2-D", f"{found['T2']:.4f}", "0.999", found["T2"] >= 0.999)
    five, single = (alone(quality_alone, "heat", 300, FORMS["<="], seed, n)["T2"] for n in (5, 1))
    yield Row("heat 300 <=: T of five bridges above single ones", f"{five - single:+.3f}", "+0.010", five - single >= 0.010)


def place_alone(data: str, n_axes: int, seed: int) -> Found:
    """A tenth of the rows placed afterwards, against a fit of all; distances in standard deviations of the map."""
    X = DATA[data](2000, seed)
    new = np.arange(2000) % 10 == 0
    whole, part = MVU(n_axes).fit(X), MVU(n_axes).fit(X[~new])
    turn = fit_alignment(part.points_, whole.points_[~new])
    sd = np.sqrt(np.square(whole.points_).sum(axis=1).mean())
    placed = part.transform(X[new]) @ turn.rotation + turn.shift
    nearest = part.points_[Neighbours(X[~new]).nearest(X[new], 1)[0][:, 0]] @ turn.rotation + turn.shift
    rmse = [float(np.sqrt(np.square(p - whole.points_[new]).sum(axis=1).mean()) / sd) for p in (placed, nearest)]
    mixed = np.empty_like(whole.points_)
    mixed[new], mixed[~new] = placed, part.points_ @ turn.rotation + turn.shift
    trust = [trust_of(X, places, np.flatnonzero(new)) for places in (mixed, whole.points_)]
    return {"drift": turn.rmse / sd, "rmse": rmse[0], "nearest": rmse[1], "trust": trust[0], "transductive": trust[1]}


def trust_of(X: NDArray[Any], places: Floats, rows: NDArray[np.int64], k: int = 12) -> float:
    """Trustworthiness averaged over some rows only (Venna, Kaski 2001)."""
    n, lost = len(X), 0.0
    for row in rows:
        away = [np.square(A.astype(np.float64) - A[row]).sum(axis=1) for A in (X, places)]
        for a in away:
            a[row] = -1.0
        rank = np.argsort(np.argsort(away[0]))  # 0 for the row itself
        lost += np.maximum(rank[np.argsort(away[1])[1 : k + 1]] - k, 0).sum()
    return float(1 - 2 * lost / (len(rows) * k * (2 * n - 3 * k - 1)))


def latency_alone(max_columns: int) -> Found:
    """Milliseconds for one new row among 10,000 of 2,048 columns; the map itself does not matter here."""
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((10_050, 12)) @ rng.standard_normal((12, 2048)) + 0.1 * rng.standard_normal((10_050, 2048))).astype(np.float32)
    mvu = MVU(tier="preview", max_columns=max_columns).fit(X[:10_000])
    mvu.transform(X[:1])
    took = []
    for at in range(10_000, 10_050):
        start = time.perf_counter()
        mvu.transform(X[at : at + 1])
        took.append(1000 * (time.perf_counter() - start))
    return {"ms": float(np.median(took))}


def placing_rows(seed: int) -> Iterator[Row]:
    for data, n_axes in [("swiss", 2), ("heat", 3)]:
        found, what = alone(place_alone, data, n_axes, seed), f"{data} 2,000 l=.9"
        drift, nearest = found["rmse"] / found["drift"], found["rmse"] / found["nearest"]
        yield Row(f"{what}: error of new rows / drift of old ones", f"{drift:.2f}", "1.7", drift <= 1.7)
        yield Row(f"{what}: error / that of the nearest row's place", f"{nearest:.2f}", "0.85", nearest <= 0.85)
        loss = found["trust"] - found["transductive"]
        yield Row(f"{what}: T of new rows above a fit of all", f"{loss:+.4f}", "-0.002", loss >= -0.002)
    for columns, limit in [(4096, 10), (512, 2)]:
        found, kind = alone(latency_alone, columns), "as they are" if columns == 4096 else "projected to 256"
        yield Row(f"one row among 10,000 x 2,048, {kind}: ms", f"{found['ms']:.2f}", str(limit), found["ms"] <= limit)


if __name__ == "__main__":
    typer.run(main)
