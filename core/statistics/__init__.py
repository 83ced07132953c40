"""Numbers about numbers: intervals, normalisation, p-values, combination, curves, leaderboards, agreement."""
