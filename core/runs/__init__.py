"""A run from store to store, and what is done with one."""
