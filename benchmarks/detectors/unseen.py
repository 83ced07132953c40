"""Fault kinds that no template describes, for synthetic logs that nothing was built after. Same signature as
`core.banners.synthetic.FAULTS`."""

import numpy as np

from core.banners.layouts import Layout, Points, inside
from core.banners.synthetic import Fault


def _partly(rng: np.random.Generator, layout: Layout, n: int, extra: Points, low: float) -> Points:
    """Replaces `low` to 95 % of the layout's own clicks by those of `extra`."""
    points = layout.draw(rng, n)
    taken = rng.random(n) < rng.uniform(low, 0.95)
    return np.where(taken[:, None], np.clip(extra, 0, 1), points)


def spiral(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """Half of the clicks or more follow a spiral: a cursor that is moved in circles."""
    turns, along = rng.uniform(2, 4), np.sqrt(rng.random(n))
    angle, radius = 2 * np.pi * (turns * along + rng.random()), 0.45 * along
    points = 0.5 + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1) + rng.normal(0, 0.01, (n, 2))
    return _partly(rng, layout, n, points, 0.5)


def transposed(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """x and y are mixed up on the way, and rounded."""
    return inside(rng, n, lambda m: layout.draw(rng, m)[:, ::-1] + rng.normal(0, 0.02, (m, 2)))


def checkered(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """Every second field of a checkerboard does not react."""
    fields, odd = rng.integers(4, 8), rng.integers(2)

    def draw(m: int) -> Points:
        points = layout.draw(rng, m)
        return points[(np.floor(points * fields).sum(axis=1) % 2) == odd]

    return inside(rng, n, draw)


def diagonal(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """Half of the clicks or more are snapped to a band along a diagonal."""
    points = layout.draw(rng, n)
    middle = points.mean(axis=1, keepdims=True) + rng.normal(0, 0.025, (n, 2))
    if rng.random() < 0.5:
        middle[:, 1] = 1 - middle[:, 1]
    return _partly(rng, layout, n, middle, 0.5)


def text_lines(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """A page of text stands where the banner should: clicks on its lines, fewer towards the end of the line and of the page."""
    lines = rng.integers(5, 9)
    line = np.minimum(rng.geometric(0.25, n) - 1, lines - 1)
    y = (line + 0.5) / lines + rng.normal(0, 0.008, n)
    return _partly(rng, layout, n, np.stack([rng.beta(1, 2.2, n), y], axis=1), 0.6)


def swapped_quarters(rng: np.random.Generator, layout: Layout, others: list[Layout], n: int) -> Points:
    """The quarters of the picture change places with those across."""
    return (layout.draw(rng, n) + 0.5) % 1


UNSEEN: dict[str, Fault] = {f.__name__: f for f in (spiral, transposed, checkered, diagonal, text_lines, swapped_quarters)}
