"""Shares of a run that are done after each of its steps."""

SCORE_SHARE, DEEP_SHARE, WRITE_SHARE = 0.6, 0.9, 0.97
"""Share of the run that is done after scoring, after the deep detectors, and before writing."""
LEARN_SHARE = 0.2
"""Share of the run that is done once everything is learned from the samples."""
