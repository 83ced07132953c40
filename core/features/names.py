"""How the detector that compares a feature with anchors is called after that feature, in one place."""

PREFIX = "cosine_"


def cosine_of(feature: str) -> str:
    """The cosine detector of a feature."""
    return f"{PREFIX}{feature}"


def feature_of(detector: str) -> str:
    """The feature of a cosine detector."""
    return detector.removeprefix(PREFIX)
