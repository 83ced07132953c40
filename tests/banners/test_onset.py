"""Since when: the first day by hand, the days' evidence, and a late fault diagnosed from its first day on."""

import numpy as np
from scipy.sparse import csr_matrix

from core.banners.diagnosis import Diagnosis
from core.banners.onset import Days, best_end, daily_log_odds, narrowed, onset
from core.banners.templates import make_bank
from tests.support.banners import drawn, heatmaps, layout, mirrored, reference_of

REFERENCE = reference_of(layout())


def test_onset_by_hand() -> None:
    assert onset(np.array([1.0, 1.0, 1.0])) == 0  # from the start
    assert onset(np.array([-5.0, -4.0, 3.0, 8.0])) == 2  # the two days before speak against it
    assert onset(np.array([-1.0, 5.0, 5.0])) == 0  # one nat is noise
    assert onset(np.array([-4.0, 5.0, 5.0])) == 1
    assert onset(np.array([-5.0, 6.0, -1.0, 7.0])) == 1  # one quiet day in between
    assert onset(np.array([-1.0, -2.0])) == 0
    assert onset(np.array([])) == 0


def test_daily_evidence_by_hand() -> None:
    p = REFERENCE.p[0]
    counts = csr_matrix(drawn(0, [50, 80]))
    scattered = Diagnosis("uniform", 1.0, {"share": 1.0}, 1.0, "edge", 1.0, "")
    # uniform with share 1 is flat, with noise or without: log(1/1600) - log p for every click
    np.testing.assert_allclose(daily_log_odds(counts, p, scattered, REFERENCE), counts @ (np.log(1 / 1600) - np.log(p)), rtol=1e-9)
    nothing = Diagnosis(None, None, None, -1.0, "edge", 1.0, "")
    assert daily_log_odds(counts, p, nothing, REFERENCE).tolist() == [0, 0]


def test_a_late_fault_is_cut_to_its_days() -> None:
    quiet, hot = drawn(1, [80, 80, 80]), drawn(2, [20, 20])
    hot[:, 820] += 200
    first, second = np.array(["2026-11-01", "2026-11-02"], dtype="datetime64[D]")
    counts = np.concatenate([quiet[:2], [quiet[2], hot[0], hot[1]]])  # banner 0: two quiet days; banner 1: one, then hot in two rows
    days = Days(np.array([0, 0, 1, 1, 1]), np.array([first, second, first, second, second]), csr_matrix(counts.astype(np.float32)))
    at, own = days.of(1)
    assert at.tolist() == [first.item(), second.item()]
    np.testing.assert_array_equal(own.toarray(), [quiet[2], hot.sum(axis=0)])
    X = heatmaps([quiet[:2].sum(axis=0), counts[2:].sum(axis=0)])
    rows, late, segments = narrowed(X, days, np.array([0, 1]), {None: REFERENCE}, {})
    assert segments == [None]
    assert rows.tolist() == [1]
    np.testing.assert_array_equal(late.counts.toarray(), [hot.sum(axis=0)])
    assert late.banner_id.tolist() == [X.banner_id[1]]
    nobody, none, _ = narrowed(X, days, np.array([], dtype=np.int64), {None: REFERENCE}, {})
    assert len(nobody) == len(none) == 0


def test_a_fault_of_one_segment_is_cut_to_its_clicks() -> None:
    """Banner 0 is mirrored on phones from the second day on, banner 1 on both devices, banner 2 is ok."""
    days = np.array(["2026-11-01", "2026-11-02"], dtype="datetime64[D]")
    rows = [(i, day, segment) for i in range(3) for day in days for segment in ("phone", "desktop")]
    counts = drawn(3, np.full(len(rows), 60))
    bad = [k for k, (i, day, segment) in enumerate(rows) if i == 1 or (i == 0 and segment == "phone" and day == days[1])]
    counts[bad] = mirrored(counts[bad])
    codes, day, segment = (np.array(column) for column in zip(*rows, strict=True))
    found = Days(codes, day, csr_matrix(counts.astype(np.float32)), segment.astype(object))
    X = heatmaps([counts[codes == i].sum(axis=0) for i in range(3)])
    own = {None: REFERENCE, "phone": REFERENCE, "desktop": REFERENCE}
    at, narrow, segments = narrowed(X, found, np.arange(3), own, {})
    assert (at.tolist(), segments) == ([0], ["phone"])
    np.testing.assert_array_equal(narrow.counts.toarray()[0], counts[2])
    assert found.of(0, "phone", but=True)[1].toarray().sum() == 120


def test_the_first_day_is_found_with_the_template_and_not_after_it() -> None:
    bank = make_bank(REFERENCE.p[0], {})
    good, bad = drawn(3, np.full(12, 12)), mirrored(drawn(4, np.full(2, 25)))
    assert best_end(csr_matrix(np.concatenate([good, bad])), bank).start == 12  # over the whole window most clicks lie where they should
    assert best_end(csr_matrix(good), bank).start == 0
    assert best_end(csr_matrix(np.concatenate([bad, bad])), bank).start == 0
