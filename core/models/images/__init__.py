"""The detectors on sets of images, without a store: reading, the published sizes, models as plain arrays, submissions, a report."""
