"""What the banner page shows beside its pictures."""

import numpy as np
import pytest

from core.features.click_metrics import NAMES
from core.review import labels
from core.ui.banner import evidence
from core.ui.session import state
from tests.support.banners import layout
from tests.ui.conftest import Open


def test_measures_of_an_ordinary_banner_lie_near_what_chance_gives() -> None:
    p = layout()
    seen = np.random.default_rng(0).multinomial(800, p / p.sum()).reshape(40, 40)
    rows = evidence.measure_rows(seen, p.reshape(40, 40) * 800)
    assert [r["measure"].replace(" ", "_") for r in rows] == [name.replace(" ", "_") for name in NAMES]
    assert max(abs(float(r["z"].replace("−", "-"))) for r in rows) < 4
    half = np.where(np.arange(40) < 20, 0, seen)
    moved = evidence.measure_rows(half, p.reshape(40, 40) * 800)
    assert abs(float(moved[0]["z"].replace("−", "-"))) > 6  # centroid_x


@pytest.mark.parametrize(("mine", "shown"), [(False, False), (True, True)])
def test_labels_stay_hidden_while_the_reader_owes_one(full: Open, mine: bool, shown: bool) -> None:
    app = full("banner", banner="bn-000005")
    labels.label(state.store(), "bn-000005", "broken", "somebody", blind=True)
    if mine:
        labels.label(state.store(), "bn-000005", "ok", app.text_input(key="author").value, blind=True)
    app.run()
    assert not app.exception
    words = " ".join(c.value for c in app.caption)
    assert ("Others have labelled it" in words) != shown
    tables = " ".join(str(d.value.to_dict()) for d in app.dataframe)
    assert ("somebody" in tables) == shown
