"""From labels to a threshold, to a published version, to verdicts."""
