"""The Banner page."""
