"""Banner: everything about one banner, on one page that can be sent as a link."""

from core.ui.banner import page
from core.ui.session import navigation

navigation.show(page.show)
