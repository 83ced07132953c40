"""The networks behind the extractors, how they are trained and where their weights lie."""
