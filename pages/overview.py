"""Overview: is anything going wrong, where, since when?"""

from core.ui.overview import page
from core.ui.session import navigation

navigation.show(page.show)
