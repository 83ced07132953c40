"""What a reviewer labels next, and why: near the threshold, detectors disagree, second reading, control sample, repeat, clear case.

Nothing is random but by the seed: the same store gives the same reviewer the same queue. Nothing is written here; to work on a
banner is to claim it (`core.review.claims`). The mixed queue is a wheel of reasons, each given to the grid that had the least so far, so
that its first 20 banners tell a model something: broken ones and others, of every grid.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from hashlib import md5
from typing import Literal, NamedTuple, get_args

from core.errors import InputError
from core.review.candidates import Candidate, Pools, pools_of
from core.review.past_work import Past, Shown, past_of
from core.store import Store, clock
from core.store.queries.runs import Row

Mode = Literal["mixed", "uncertain", "disagreement", "second", "control"]
MODES: tuple[Mode, ...] = get_args(Mode)
WHY = {
    "uncertain": "close to the threshold: broken about as likely as not",
    "disagreement": "the detectors disagree",
    "second": "a second reading: another reviewer has labelled it",
    "control": "drawn at random from all banners, to learn what the detectors miss",
    "retest": "a repeat: you labelled it before",
    "contrast": "a clear case of one kind or the other, for a model needs both",
    "again": "you came back to it",
}
CONTROL_EVERY = 10
"""One banner of so many in the mixed queue is a control, at a place drawn by lot."""
WHEEL = "UCDUSUCUDSUCSURUDC"
"""Reasons of the other banners in turn, by their letters; those that have no banner left give way to the next of ELSE."""
LETTERS = {"U": "uncertain", "C": "contrast", "D": "disagreement", "S": "second", "R": "retest"}
ELSE = ("uncertain", "contrast", "disagreement", "second", "control")
RETEST_AFTER_BANNERS = 20
RETEST_AFTER = timedelta(days=7)


class Draw(NamedTuple):
    """A banner of the queue, why it is there, and whether it belongs to the control sample."""

    banner: Candidate
    reason: str

    @property
    def control(self) -> bool:
        """Whether it was drawn at random from all banners of the run, or of the grid that the queue is limited to."""
        return self.reason == "control"


def head(store: Store, run_id: str, reviewer: str, n: int, mode: Mode = "mixed", seed: int = 0, *, grid: int | None = None) -> list[Row]:
    """The next n banners for a reviewer, fewer where the queue ends. Keys: banner_id, grid_id, position, reason, why, control, and
    n_products, domain, n_clicks, reference_id. Raises InputError for an unknown mode."""
    draws = draw(store, run_id, reviewer, n, mode, seed, grid=grid)
    if not draws:
        return []
    places = [d.banner.position for d in draws]
    rows = store.rows(
        f"""SELECT banner_id, n_products, domain, n_clicks, reference_id FROM result
            WHERE run_id = ? AND position BETWEEN ? AND ? AND position IN ({", ".join("?" for _ in places)})""",
        [run_id, min(places), max(places), *places],
    )
    facts = {row["banner_id"]: row for row in rows}
    why = [{"reason": d.reason, "why": WHY[d.reason], "control": d.control} for d in draws]
    return [d.banner._asdict() | w | facts[d.banner.banner_id] for d, w in zip(draws, why, strict=True)]


def draw(store: Store, run_id: str, reviewer: str, n: int, mode: Mode = "mixed", seed: int = 0, *, grid: int | None = None) -> list[Draw]:
    """The same without what is known of the banners."""
    if mode not in MODES:
        raise InputError(f"A label queue is one of {', '.join(MODES)}, not {mode!r}. Choose one of them.")
    pools = pools_of(store, run_id, seed)
    with past_of(store) as past:
        queue = _Queue(store, past, pools, run_id, reviewer.strip(), seed, grid)
        return queue.mixed(n) if mode == "mixed" else queue.of(mode, n)


def row_at(store: Store, run_id: str, position: int) -> Row:
    """All that a run says of the banner at a position, scores included; a run stands sorted by position."""
    return store.rows(
        """SELECT banner_id, grid_id, n_products, domain, n_clicks, reference_id, combined, p_value, p_broken, flagged, position, n_agree,
                  n_detectors, fault, sentence
           FROM result WHERE run_id = ? AND position = ?""",
        [run_id, position],
    )[0]


class _Queue:
    """One walk through the candidates of a reviewer; lives for one call."""

    def __init__(self, store: Store, past: Past, pools: Pools, run_id: str, reviewer: str, seed: int, grid: int | None) -> None:
        self.store, self.past, self.pools = store, past, pools
        self.run_id, self.reviewer, self.seed, self.only = run_id, reviewer, seed, grid
        self.now = clock.now()
        self.grids = [g for g in pools.grids if grid in (None, g)]
        self.shown = past.shown.get((reviewer, run_id), Shown())
        self.counts = Counter(self.shown.by_grid)
        self.totals: Counter[int] = Counter()
        for (of_grid, _), n in self.counts.items():
            self.totals[of_grid] += n
        self.turn = {g: self._lot(f"{reviewer} {g}") for g in self.grids}
        self.chosen: set[str] = set()
        self.walks: dict[tuple[str, int | None], Iterator[Candidate]] = {}

    def mixed(self, n: int) -> list[Draw]:
        """The wheel from where the reviewer stands, with a control in every block."""
        draws: list[Draw] = []
        for slot in range(self.shown.n_mixed, self.shown.n_mixed + n):
            first = self._reason(slot)
            found = next((d for reason in (first, *ELSE) if (d := self.take(reason, slot)) is not None), None)
            if found is None:
                break
            draws.append(found)
        return draws

    def of(self, reason: str, n: int) -> list[Draw]:
        """Banners of one reason only."""
        found = (self.take(reason, slot) for slot in range(n))
        return [d for d in found if d is not None]

    def _reason(self, slot: int) -> str:
        block, place = divmod(slot, CONTROL_EVERY)
        control_at = self._lot(f"{self.reviewer} {block}") % CONTROL_EVERY
        if place == control_at:
            return "control"
        turn = block * (CONTROL_EVERY - 1) + place - (place > control_at)
        return LETTERS[WHEEL[turn % len(WHEEL)]]

    def take(self, reason: str, slot: int) -> Draw | None:
        """The next free banner for a reason; of the grid that had the fewest so far, unless chance or time decides."""
        if reason in ("control", "retest"):
            return self._next(reason, None, reason)
        order = sorted(self.grids, key=lambda g: (self.totals[g], self.counts[g, reason], self.turn[g]))
        for grid in order:
            pools = [reason] if reason != "contrast" else self._sides(grid)
            for pool in pools:
                found = self._next(pool, grid, reason)
                if found is not None:
                    return found
        return None

    def _sides(self, grid: int) -> list[str]:
        """Clear cases of a grid come in pairs, one of each kind; which comes first is drawn by lot."""
        pair, second = divmod(self.counts[grid, "contrast"], 2)
        sides = ["clear_broken", "clear_ok"]
        return sides if (self._lot(f"{grid} {pair}") + second) % 2 == 0 else sides[::-1]

    def _next(self, pool: str, grid: int | None, reason: str) -> Draw | None:
        walk = self.walks.setdefault((pool, grid), self._free(pool, grid))
        found = next(walk, None)
        if found is None:
            return None
        self.chosen.add(found.banner_id)
        self.counts[found.grid_id, reason] += 1
        self.totals[found.grid_id] += 1
        return Draw(found, reason)

    def _free(self, pool: str, grid: int | None) -> Iterator[Candidate]:
        """Candidates that no reviewer holds, that this reviewer did not skip, and that are in the state the reason asks for."""
        past, me = self.past, self.reviewer
        candidates: Iterator[Candidate]
        if pool == "second":
            labelled = past.labelled_in(self.store, self.run_id).get(grid or 0, [])
            candidates = (c for _, c in labelled if self._owes_second(c.banner_id))
        elif pool == "retest":
            candidates = self._repeats()
        else:
            candidates = (c for c in self._ranked(pool, grid) if c.banner_id not in past.kept)
        for c in candidates:
            taken = c.banner_id in self.chosen or past.is_claimed(c.banner_id, self.now) or past.is_skipped(me, c.banner_id, self.now)
            if not taken:
                yield c

    def _ranked(self, pool: str, grid: int | None) -> Iterator[Candidate]:
        """A pool from its best to its last, found deeper where it was cut off."""
        pools, seen = self.pools, 0
        while True:
            ranked = pools.control if grid is None else pools.by_grid.get((pool, grid), [])
            for c in ranked[seen:]:
                if self.only in (None, c.grid_id):
                    yield c
            if len(ranked) < (pools.control_depth if grid is None else pools.depth):
                return
            pools, seen = pools_of(self.store, self.run_id, self.seed, deeper_than=pools), len(ranked)

    def _owes_second(self, banner_id: str) -> bool:
        """Whether exactly one reviewer labelled it, not this one, without a decision."""
        kept = self.past.kept.get(banner_id, [])
        readers = {k.reviewer for k in kept}
        return len(readers) == 1 and self.reviewer not in readers and all(k.op == "label" for k in kept)

    def _repeats(self) -> Iterator[Candidate]:
        """This reviewer's own labels of long ago that were not repeated yet, oldest first."""
        self.past.labelled_in(self.store, self.run_id)
        own = self.past.own.get(self.reviewer, {})
        for k, (banner_id, at) in enumerate(own.items()):
            if len(own) - k <= RETEST_AFTER_BANNERS and at > self.now - RETEST_AFTER:
                continue
            mine = sum(kept.reviewer == self.reviewer and kept.op == "label" for kept in self.past.kept.get(banner_id, []))
            found = self.past.place(self.run_id, banner_id)
            if mine == 1 and found is not None and self.only in (None, found.grid_id):
                yield found

    def _lot(self, text: str) -> int:
        return int(md5(f"{self.seed} {text}".encode()).hexdigest()[:12], 16)
