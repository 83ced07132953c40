"""The child side of a run: Parquet in, Parquet out, no database."""
