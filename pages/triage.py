"""Triage: what do I look at next, and what is wrong with it?"""

from core.ui.session import navigation
from core.ui.triage import page

navigation.show(page.show)
