"""The command line, one file a verb; each registers itself."""
