"""A slow twin of taking click logs in, replacing, adding and taking back: a dictionary of counters an ingest."""

from collections import Counter
from dataclasses import dataclass, field

Click = tuple[str, str, int]
"""click_id ('' = none), banner_id, column of the heatmap."""


@dataclass
class SlowIngest:
    """One ingest that is in the store."""

    path: str
    text: str
    counts: Counter[tuple[str, int]]
    ids: set[str]


@dataclass
class SlowStore:
    """Ingests in order; `ingest` and `undo` do what the store should do, by the plainest code."""

    ingests: list[SlowIngest] = field(default_factory=list)

    @property
    def counts(self) -> Counter[tuple[str, int]]:
        """Clicks by banner_id and column."""
        return sum((one.counts for one in self.ingests), Counter())

    @property
    def ids(self) -> set[str]:
        """click_ids that were counted."""
        return set().union(*(one.ids for one in self.ingests))

    def ingest(self, path: str, text: str, clicks: list[Click], choice: str) -> str:
        """Returns what became of it: known, refused, nothing or taken."""
        if any(one.text == text for one in self.ingests):
            return "known"
        grown = [one for one in self.ingests if text.startswith(one.text)]
        same_path = [one for one in self.ingests if one.path == path]
        replaced = grown or same_path[-1:]
        if replaced and choice == "refuse":
            return "refused"
        if choice == "add" or (choice == "rotating" and not grown):
            replaced = []
        left = [one for one in self.ingests if one not in replaced]
        seen = set().union(*(one.ids for one in left))
        taken = SlowIngest(path, text, Counter(), set())
        for click_id, banner, col in clicks:
            if click_id and (click_id in seen or click_id in taken.ids):
                continue
            taken.counts[banner, col] += 1
            taken.ids |= {click_id} if click_id else set()
        if not taken.counts:
            return "nothing"
        self.ingests = [*left, taken]
        return "taken"

    def undo(self, index: int) -> None:
        """Takes one back."""
        del self.ingests[index]
