"""Maximum variance unfolding against its limits: accuracy, speed beside general conic solvers, size, quality of the map, new rows.

    python -m benchmarks.mvu [exact] [clarabel] [scaled] [large] [quality] [placing]

Every measurement runs in a process of its own on one core; seconds are wall time, memory is what a solver added. No part named: all.
"""

import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.manifold import trustworthiness
from threadpoolctl import threadpool_limits

from benchmarks.conic import clarabel_solution, scs_solution
from benchmarks.manifolds import heat, swiss
from core.embeddings import MVU, PCA, fit_alignment
from core.embeddings.certificate import certify
from core.embeddings.exact import solve_exactly
from core.embeddings.graph import make_graph
from core.embeddings.neighbours import Neighbours
from core.embeddings.preview import unfold_coarsely
from core.embeddings.problem import Problem, make_problem
from core.embeddings.scaled import solve_scaled

Floats = NDArray[np.float64]
DATA: dict[str, Callable[[int], NDArray[Any]]] = {"swiss": swiss, "heat": heat}
FORMS = {"<=": 1.0, "l=.9": 0.1}
SOLVERS: dict[str, Callable[[Problem], Floats]] = {
    "own": lambda problem: solve_exactly(problem).K,
    "clarabel": clarabel_solution,
    "scs": scs_solution,
}


class Row(NamedTuple):
    """One line of the table."""

    what: str
    measured: str
    limit: str
    is_reached: bool


Found = dict[str, Any]


def main(parts: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Prints a line a limit, reached or not, as soon as it is measured."""
    known: dict[str, Callable[[], Iterator[Row]]] = {
        "exact": exact_rows,
        "clarabel": clarabel_rows,
        "scaled": scaled_rows,
        "large": large_rows,
        "quality": quality_rows,
        "placing": placing_rows,
    }
    unknown = set(parts or []) - set(known)
    if unknown:
        raise typer.BadParameter(f"The parts are {', '.join(known)}, however {', '.join(sorted(unknown))} was named.")
    console, n_missed = Console(), 0
    for part in parts or known:
        table = Table("what", "measured", "limit", "", title=part)
        for row in known[part]():
            table.add_row(row.what, row.measured, row.limit, "reached" if row.is_reached else "[bold]missed[/bold]")
            n_missed += not row.is_reached
        console.print(table)
    console.print(f"{n_missed} missed. One core; trustworthiness over 12 neighbours; seed 0.")


def alone(function: Callable[..., Found], *arguments: Any) -> Found:
    """What a function gives in a fresh process on one core."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_limited, function, arguments).result()


def _limited(function: Callable[..., Found], arguments: tuple[Any, ...]) -> Found:
    with threadpool_limits(1):
        return function(*arguments)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def posed(data: str, n: int, slack: float, k: int = 6, n_bridges: int = 5) -> Problem:
    graph = make_graph(Neighbours(DATA[data](n)), k, n_bridges)
    return make_problem(n, graph.i, graph.j, graph.squared, slack)


# --- exact tier ----------------------------------------------------------------------------------------------------------------


def solve_alone(solver: str, data: str, n: int, slack: float) -> Found:
    """Seconds, added memory and accuracy of a solver on one problem."""
    problem = posed(data, n, slack)
    SOLVERS[solver](posed("swiss", 12, slack))  # the import is no part of the solution
    before, start = peak_mb(), time.perf_counter()
    K = SOLVERS[solver](problem)
    found: Found = {"seconds": time.perf_counter() - start, "mb": peak_mb() - before, "variance": float(np.trace(K))}
    d, values = np.diag(K), np.linalg.eigvalsh(K)
    lengths = d[problem.i] + d[problem.j] - 2 * K[problem.i, problem.j]
    found |= {"violation": float(problem.violation(lengths).max()), "lowest": float(values[0] / values[-1])}
    return found | {
        "centre": float(np.abs(K.sum(axis=1)).max() / np.trace(K)),
        "gap": solve_exactly(problem).gap if solver == "own" and n <= 300 else 0.0,
    }


def exact_rows() -> Iterator[Row]:
    seconds = {300: 4, 500: 15, 1000: 120}
    for data, n in [("swiss", 300), ("heat", 300), ("swiss", 500), ("heat", 500), ("heat", 1000)]:
        for form, slack in FORMS.items():
            found, what = alone(solve_alone, "own", data, n, slack), f"{data} {n} {form}"
            if n == 300:
                yield Row(f"{what}: relative gap", f"{found['gap']:.1e}", "1e-6", found["gap"] <= 1e-6)
            yield Row(f"{what}: largest violation", f"{found['violation']:.1e}", "1e-6", found["violation"] <= 1e-6)
            yield Row(f"{what}: lowest / highest eigenvalue", f"{found['lowest']:.1e}", "-1e-8", found["lowest"] >= -1e-8)
            yield Row(f"{what}: |K1| / tr K", f"{found['centre']:.1e}", "1e-8", found["centre"] <= 1e-8)
            yield Row(f"{what}: seconds", f"{found['seconds']:.2f}", str(seconds[n]), found["seconds"] <= seconds[n])
            if n == 1000:
                yield Row(f"{what}: added MB", f"{found['mb']:.0f}", "1000", found["mb"] <= 1000)


def clarabel_rows() -> Iterator[Row]:
    for n in (50, 100):
        for form, slack in FORMS.items():
            own, theirs = (alone(solve_alone, solver, "swiss", n, slack) for solver in ("own", "clarabel"))
            off = abs(own["variance"] / theirs["variance"] - 1)
            yield Row(f"swiss {n} {form}: objective off Clarabel's", f"{off:.1e}", "1e-6", off <= 1e-6)
            if n == 100:
                ratio, memory = theirs["seconds"] / own["seconds"], own["mb"] / theirs["mb"]
                yield Row(f"swiss {n} {form}: times faster than Clarabel", f"{ratio:.0f} ({theirs['seconds']:.1f} s)", "50", ratio >= 50)
                yield Row(f"swiss {n} {form}: share of its memory", f"1/{1 / memory:.0f} ({theirs['mb']:.0f} MB)", "1/20", memory <= 1 / 20)
                scs = alone(solve_alone, "scs", "swiss", n, slack)["seconds"]
                yield Row(
                    f"swiss {n} {form}: times faster than SCS 1e-4",
                    f"{scs / own['seconds']:.0f} ({scs:.1f} s)",
                    "20",
                    scs / own["seconds"] >= 20,
                )


# --- scaled tier ---------------------------------------------------------------------------------------------------------------


def scale_alone(data: str, n: int, slack: float, start: str = "laplacian", seed: int = 0) -> Found:
    """Graph, preview and scaled solution, with the seconds of each and the certificate."""
    X, begin = DATA[data](n), time.perf_counter()
    graph = make_graph(Neighbours(X), 6, 5)
    problem, graphed = make_problem(n, graph.i, graph.j, graph.squared, slack), time.perf_counter()
    places = unfold_coarsely(problem) if start == "laplacian" else np.random.default_rng(seed).standard_normal((n, 10))
    previewed = time.perf_counter()
    scaled = solve_scaled(problem, places)
    done = time.perf_counter()
    found = certify(problem, scaled.points, scaled.upper_bound)._asdict()
    return found | {"graph": graphed - begin, "preview": previewed - graphed, "seconds": done - previewed, "mb": peak_mb()}


def scaled_rows() -> Iterator[Row]:
    for n in (500, 1000):
        for form, slack in FORMS.items():
            exact, found, what = alone(solve_alone, "own", "heat", n, slack), alone(scale_alone, "heat", n, slack), f"heat {n} {form}"
            ratio = found["variance"] / exact["variance"]
            yield Row(f"{what}: objective / exact", f"{ratio:.5f}", "0.999 to 1.001", abs(ratio - 1) <= 1e-3)
            yield Row(f"{what}: violation, 99th percentile", f"{found['violation_p99']:.1e}", "5e-4", found["violation_p99"] <= 5e-4)
            if n < 1000:
                continue
            share = found["seconds"] / exact["seconds"]
            yield Row(f"{what}: share of exact seconds", f"1/{1 / share:.1f} ({found['seconds']:.1f} s)", "1/5", share <= 1 / 5)
            if form == "<=":
                lower = found["lower_bound"] / exact["variance"]
                yield Row(f"{what}: lower bound / exact", f"{lower:.5f}", "0.999", lower >= 0.999)
                yield Row(f"{what}: upper / lower bound", f"{found['ratio']:.4f}", "1.01", found["ratio"] <= 1.01)
    for form, slack in FORMS.items():
        starts = [
            alone(scale_alone, "heat", 500, slack, *start)["variance"] for start in [("laplacian",), *(("random", s) for s in (1, 2, 3))]
        ]
        spread = max(starts) / min(starts) - 1
        yield Row(f"heat 500 {form}: four starts differ by", f"{spread:.1e}", "1e-3", spread <= 1e-3)


def large_rows() -> Iterator[Row]:
    found, what = alone(scale_alone, "heat", 10_000, FORMS["l=.9"]), "heat 10,000 l=.9"
    for part, limit in [("graph", 15), ("preview", 1.5), ("seconds", 75)]:
        yield Row(f"{what}: {part.replace('seconds', 'scaled tier')}, s", f"{found[part]:.1f}", str(limit), found[part] <= limit)
    yield Row(f"{what}: violation, 99th percentile", f"{found['violation_p99']:.1e}", "1e-3", found["violation_p99"] <= 1e-3)
    yield Row(f"{what}: violation, mean", f"{found['violation_mean']:.1e}", "1e-4", found["violation_mean"] <= 1e-4)
    yield Row(f"{what}: peak MB of the process", f"{found['mb']:.0f}", "1500", found["mb"] <= 1500)
    bound = alone(scale_alone, "heat", 10_000, FORMS["<="])
    yield Row("heat 10,000 <=: upper / lower bound", f"{bound['ratio']:.4f} ({bound['seconds']:.0f} s)", "1.08", bound["ratio"] <= 1.08)


# --- quality and new rows ------------------------------------------------------------------------------------------------------


def quality_alone(data: str, n: int, slack: float, n_bridges: int = 5, n_layouts: int = 4) -> Found:
    """Trustworthiness in two and three dimensions, and that of principal components."""
    X = heat(n, n_layouts=n_layouts) if data == "heat" else swiss(n)
    mvu = MVU(slack=slack, n_bridges=n_bridges).fit(X)
    maps = {"T2": mvu.points_[:, :2], "T3": mvu.points_, "pca": PCA(2).fit(X).points_}
    return {name: float(trustworthiness(X, places, n_neighbors=12)) for name, places in maps.items()} | {"pieces": mvu.n_pieces_}


def quality_rows() -> Iterator[Row]:
    for n in (300, 500, 2000):
        found = alone(quality_alone, "heat", n, FORMS["l=.9"])
        gain = found["T2"] - found["pca"]
        yield Row(f"heat {n} l=.9: T 2-D above PCA's", f"{gain:+.3f} ({found['T2']:.3f})", "+0.015", gain >= 0.015)
        yield Row(f"heat {n} l=.9: T 3-D", f"{found['T3']:.3f}", "0.985", found["T3"] >= 0.985)
    for n in (500, 1000, 2000):
        found = alone(quality_alone, "swiss", n, FORMS["l=.9"])
        yield Row(f"swiss {n} l=.9: T 2-D", f"{found['T2']:.4f}", "0.999", found["T2"] >= 0.999)
    five, single = (alone(quality_alone, "heat", 300, FORMS["<="], n)["T2"] for n in (5, 1))
    yield Row("heat 300 <=: T of five bridges above single ones", f"{five - single:+.3f}", "+0.010", five - single >= 0.010)


def place_alone(data: str, n_axes: int) -> Found:
    """A tenth of the rows placed afterwards, against a fit of all; distances in standard deviations of the map."""
    X = DATA[data](2000)
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


def placing_rows() -> Iterator[Row]:
    for data, n_axes in [("swiss", 2), ("heat", 3)]:
        found, what = alone(place_alone, data, n_axes), f"{data} 2,000 l=.9"
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
