"""Tests of the detectors on sets of images."""
