"""Slow twins: every formula a second time, as loops to check by eye. n and p are plain sequences over the cells of one banner."""

from collections.abc import Sequence
from math import exp, lgamma, log, log1p, sqrt

Numbers = Sequence[float]


def coarser(image: Numbers, size: int) -> list[float]:
    """Sums of a 40 x 40 image over blocks, row by row."""
    out = [0.0] * (size * size)
    for row in range(40):
        for col in range(40):
            out[(row * size // 40) * size + col * size // 40] += image[row * 40 + col]
    return out


def log_draw(n: Numbers, p: Numbers) -> float:
    """Log probability of the counts n under a multinomial with shares p; n need not be whole."""
    out = lgamma(sum(n) + 1)
    for n_j, p_j in zip(n, p, strict=True):
        out += n_j * log(p_j) - lgamma(n_j + 1)
    return out


def multinomial(n: Numbers, p: Numbers) -> float:
    """How much unlikelier than the average banner, a click."""
    total = max(sum(n), 1)
    return (log_draw([total * p_j for p_j in p], p) - log_draw(n, p)) / total if sum(n) else log_draw(p, p)


def chi_squared(n: Numbers, p: Numbers) -> float:
    """log(2 + X²/N)."""
    total, out = sum(n), 0.0
    for n_j, p_j in zip(n, p, strict=True):
        out += (n_j - total * p_j) ** 2 / (total * p_j)
    return log(2 + out / total)


def kl_divergence(n: Numbers, p: Numbers) -> float:
    """KL(f || p) in nats."""
    total, out = sum(n), 0.0
    for n_j, p_j in zip(n, p, strict=True):
        if n_j > 0:
            out += n_j / total * log(n_j / total / p_j)
    return out


def jensen_shannon(n: Numbers, p: Numbers) -> float:
    """Mean of KL(f || m) and KL(p || m)."""
    total, out = sum(n), 0.0
    for n_j, p_j in zip(n, p, strict=True):
        f = n_j / total
        m = (f + p_j) / 2
        out += p_j * log(p_j / m) / 2 + (f * log(f / m) / 2 if f > 0 else 0)
    return out


def likelihood_ratio(n: Numbers, p: Numbers, families: Sequence[Sequence[Numbers]]) -> float:
    """log of the mean over families of the mean over templates of P[n | t] / P[n | p], by the root of the clicks."""
    total = 0.0
    logs = []
    for templates in families:
        for t in templates:
            ratio = sum(n_j * log(t_j / p_j) for n_j, t_j, p_j in zip(n, t, p, strict=True) if n_j)
            logs.append((ratio, len(families) * len(templates)))
    peak = max(r for r, _ in logs)
    for ratio, count in logs:
        total += exp(ratio - peak) / count
    return (peak + log(total)) / sqrt(max(sum(n), 1))


def empty_chi_squared() -> float:
    """What a banner without clicks gets: nothing is known, log(1 + 0)."""
    return log1p(0)


def benjamini_hochberg(p_values: Numbers, fdr: float) -> list[bool]:
    """Flags by counting: the largest k for which k p-values are at most k * fdr / n."""
    n, cut = len(p_values), -1.0
    for k in range(1, n + 1):
        bound = fdr * k / n
        if sum(p <= bound for p in p_values) >= k:
            cut = bound
    return [p <= cut for p in p_values]
