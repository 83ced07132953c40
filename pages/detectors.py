"""Detectors: which of them can be trusted, and for what? Without labels: what they cost, and what they have in common."""

from core.ui.detectors import page
from core.ui.session import navigation

navigation.show(page.show)
