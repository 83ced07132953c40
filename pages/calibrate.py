"""Calibrate: what changes if I move the cut?"""

from core.ui.calibrate import page
from core.ui.session import navigation

navigation.show(page.show)
