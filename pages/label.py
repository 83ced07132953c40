"""Label: one decision, without being told; what reviewers differ on; and how steady each of them is."""

from core.ui.label import page
from core.ui.session import navigation

navigation.show(page.show)
