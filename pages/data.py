"""Data: is the machine fed and well?"""

from core.ui.data import page
from core.ui.session import navigation

navigation.through_app()
page.show()
