"""The Detectors page."""
