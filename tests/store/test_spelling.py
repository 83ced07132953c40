"""One spelling of ids and hosts, and ids that survive every way out and in."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.clicks.ingest import ingest
from core.review import labels
from core.review.label_files import export_labels, import_labels
from core.store import Store
from core.store.queries import banner
from core.store.spelling import BLANKS, PLAIN_HOST, banner_id, host
from tests.clicks.test_ingest_twin import examples

HEADER = "banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at"
SAME_HOST = ["shop.example", "Shop.Example", "SHOP.EXAMPLE.", " shop.example\t", "shop.example:443", "https://Shop.example:443/path?x",
    "//shop.example",
    "http://user:pw@shop.example#a", "shop.example/path", "shop\u200b.example", "\u00a0shop.example", "shop\u3002example"]  # fmt: skip
IDS = ["=bn3", "'=bn3", "''=bn3", "-1", "@a", "'a", '"q"', "a,b", "two\nlines", "=a\u0308", "b 1", "a\tb", "NULL", "nan"]


@pytest.mark.parametrize("text", SAME_HOST)
def test_one_host_in_many_spellings(text: str) -> None:
    assert host(text) == "shop.example"


@pytest.mark.parametrize(("text", "name"), [("xn--mnchen-3ya.example", "münchen.example"), ("mu\u0308nchen.example", "münchen.example"),
    ("www.shop.example", "www.shop.example"), ("N/A", "n/a"), ("<B>", "<b>"), ("[::1]:80", "[::1]"), ("xn--zz", "xn--zz")])  # fmt: skip
def test_hosts_of_other_kinds(text: str, name: str) -> None:
    assert host(text) == name


@examples(300)
@given(st.text(max_size=30))
@example("\u0130.example")
def test_a_spelling_is_its_own_spelling(text: str) -> None:
    assert banner_id(banner_id(text)) == banner_id(text) == banner_id(f"\u00a0{text} \u200b")
    assert host(host(text)) == host(text)


@examples(100)
@given(st.from_regex(PLAIN_HOST, fullmatch=True, alphabet=st.characters(codec="ascii")))
def test_plain_hosts_stay_as_they_are(text: str) -> None:
    assert "xn--" in text or host(text) == text


def write_log(path: Path, ids: list[str]) -> Path:
    quoted = ('"' + text.replace('"', '""') + '"' for text in ids)
    path.write_text(
        "\n".join([HEADER, *(f"{text},7,4,d.example,0.5,0.5,2026-11-20" for text in quoted)]) + "\n", encoding="utf-8", newline=""
    )
    return path


any_id = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), min_size=1, max_size=12)


@examples(8)
@given(st.lists(st.one_of(st.sampled_from(IDS), any_id), min_size=1, max_size=8))
def test_a_label_comes_back_to_its_banner(texts: list[str]) -> None:
    ids = [text for text in texts if banner_id(text)] or ["a"]
    with tempfile.TemporaryDirectory() as folder:
        log, out = write_log(Path(folder) / "log.csv", ids), [Path(folder) / name for name in ("labels.csv", "labels.parquet")]
        with Store(Path(folder) / "one.duckdb") as one:
            ingest(one, [log])
            kept = {row["banner_id"] for row in one.rows("SELECT banner_id FROM banner")}
            assert kept == {banner_id(text) for text in ids}
            for index, name in enumerate(sorted(kept)):
                labels.label(one, name, "broken" if index % 2 else "ok", "ana", blind=True)
            said = {row["banner_id"]: row["label"] for row in labels.current(one)}
            for target in out:
                export_labels(one, target)
        for source in out:
            with Store(Path(folder) / f"{source.suffix[1:]}.duckdb") as other:
                ingest(other, [log])
                assert import_labels(other, source).rejected == []
                assert {row["banner_id"]: row["label"] for row in labels.current(other)} == said


def test_ids_of_an_older_store_are_found_exactly_first(tmp_path: Path) -> None:
    with Store(tmp_path / "s.duckdb") as store:
        ingest(store, [write_log(tmp_path / "a.csv", ["bn1", "bn2"])])
        with store.transaction() as cursor:  # as earlier versions kept it
            cursor.execute(
                "INSERT INTO banner SELECT 'bn1 ', grid_id, n_products, 'D.Example', ingest_id FROM banner WHERE banner_id = 'bn1'"
            )
        result = ingest(store, [write_log(tmp_path / "b.csv", ["bn1 ", "bn1", "bn2\t"])])
        assert (result.accepted, result.rejected) == (3, {})
        assert banner.known(store, "bn1 ")["banner_id"] == "bn1 "  # type: ignore[index]
        assert banner.known(store, " bn2")["banner_id"] == "bn2"  # type: ignore[index]
        rows = ["banner_id,label,reviewer,labelled_at", "bn1 ,broken,ana,2026-11-20", "bn1,ok,ana,2026-11-20", " bn2,ok,ana,2026-11-20"]
        (tmp_path / "l.csv").write_text("\n".join(rows))
        assert import_labels(store, tmp_path / "l.csv").added == 3
        assert {r["banner_id"]: r["label"] for r in labels.current(store)} == {"bn1 ": "broken", "bn1": "ok", "bn2": "ok"}


def test_every_blank_is_trimmed() -> None:
    assert all(banner_id(f"{blank}a{blank}") == "a" for blank in BLANKS)
