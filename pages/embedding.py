"""Embedding: which banners resemble each other?"""

from core.ui.embedding import page
from core.ui.session import navigation

navigation.show(page.show)
