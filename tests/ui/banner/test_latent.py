"""The drawings of a network on the Banner page."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.jobs import running as jobs
from core.models.latent import job as latent
from core.models.latent.job import LATENT, Latent
from core.models.latent.request import LatentRequest
from core.settings import N_BINS
from core.store.queries import runs
from core.ui.banner import latent as latent_view
from core.ui.render import cells as maps
from core.ui.session import state
from tests.ui.conftest import Open

NAME = "bn-000100"


def opened(full: Open, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The Banner page with the expander open: a test's browser cannot click on it."""
    real = latent_view.st.expander

    class Opened:
        def __init__(self, box: Any) -> None:
            self.box, self.open = box, True

        def __enter__(self) -> "Opened":
            self.box.__enter__()
            return self

        def __exit__(self, *args: Any) -> None:
            self.box.__exit__(*args)

    def expander(label: str, **more: Any) -> Any:
        box = real(label, **more)
        return Opened(box) if more.get("key") == "latent" else box

    monkeypatch.setattr(latent_view.st, "expander", expander)
    app = full("banner", banner=NAME)
    assert not app.exception
    return app


def drawn() -> Latent:
    """A result whose image k has k + 1 hundredths in every cell."""
    images = np.repeat(np.arange(1, 2 + 28 * 49 + 1)[:, None] / 100, N_BINS, axis=1)
    return Latent([0.2, -2.6, 0.0, 1.4, -0.3, 0.1, 0.4, 5.0], 4.25, 0.731, 301, [2.0, 1.0], 28.0, images.astype(np.float16))


def shown_maps(app: AppTest) -> list[dict[str, Any]]:
    specs = [json.loads(c.proto.spec) for c in app.get("plotly_chart") if "latent_map" in c.proto.id]
    return [s["data"][0] for s in specs]


def cell(trace: dict[str, Any]) -> float:
    packed = trace["customdata"]
    return float(np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])[0])


def words(app: AppTest) -> str:
    return " ".join(str(e.value) for e in [*app.caption, *app.markdown])


def test_two_entries_are_changed_beside_the_banner_and_its_reconstruction(full: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(full, monkeypatch)
    found = drawn()
    latent.keep(state.store(), LatentRequest(runs.finished_runs(state.store())[0]["run_id"], NAME), found)
    app = opened(full, monkeypatch)
    n_clicks = state.store().rows("SELECT n_clicks FROM result WHERE banner_id = ?", [NAME])[0]["n_clicks"]
    assert [s.value for s in app.selectbox if str(s.key).startswith("entry_")] == [7, 1]
    assert [s.value for s in app.slider] == [3, -3], "5.0 lies beyond the last step"
    assert "Error of the reconstruction: 4.2, larger than that of 73 % of the 300 other banners" in words(app).replace("\\", "")

    def expected(values: dict[int, int]) -> list[float]:
        images = (found.original, found.reconstruction, found.changed(values))
        return [float(np.square(image[0, 0]) * n_clicks) for image in images]

    traces = shown_maps(app)
    assert len(traces) == 3
    assert [cell(t) for t in traces] == pytest.approx(expected({7: 3, 1: -3}), rel=1e-5)
    assert len({(t["zmin"], t["zmax"]) for t in traces}) == 1, "one scale"
    app.slider[0].set_value(-1).run()
    assert not app.exception
    assert [cell(t) for t in shown_maps(app)] == pytest.approx(expected({7: -1, 1: -3}), rel=1e-5)
    next(s for s in app.selectbox if str(s.key).startswith("entry_1")).select(1).run()
    assert not app.exception
    first, second = [s.value for s in app.selectbox if str(s.key).startswith("entry_")]
    assert first == 1
    assert second != 1, "an entry is changed once"


def test_nothing_drawn_yet_starts_shows_progress_and_fails_with_its_reason(full: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(full, monkeypatch)
    assert "Training takes about half a minute" in words(app)
    monkeypatch.setattr(LATENT, "command", ("sh", "-c", "sleep 60"))
    app.button(key="draw_latent").click().run()
    assert not app.exception
    handle = jobs.current(state.store(), LATENT)
    assert handle is not None
    assert not [b for b in app.button if b.key == "draw_latent"]
    app.button(key="cancel_latent").click().run()
    assert handle.wait(20)
    app.run()
    assert any("Drawing was stopped" in w.value for w in app.warning)
    app.button(key="forget_latent").click().run()
    assert not app.warning
    monkeypatch.setattr(LATENT, "command", ("sh", "-c", """echo '{"error": "A rule; it was broken. Do this."}'; exit 2"""))
    app.button(key="draw_latent").click().run()
    handle = jobs.current(state.store(), LATENT)
    assert handle is not None
    assert handle.wait(20)
    app.run()
    assert any("A rule; it was broken. Do this." in e.value.replace("\\", "") for e in app.error)
    app.button(key="forget_latent").click().run()
    assert not app.error
    assert app.button(key="draw_latent")


def test_squares_of_what_is_drawn_are_clicks() -> None:
    image = np.full((40, 40), -0.5)
    image[3, 4] = 0.1
    clicks = latent_view.in_clicks(image, 200)
    assert clicks[3, 4] == pytest.approx(2)
    assert clicks.sum() == pytest.approx(2), "below 0 there are none"
    assert maps.limit(clicks) == 2
