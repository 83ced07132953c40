"""The verb `audit`: what features hold of broken banners, and whether labels or features are missing."""

from typing import Any

from core.cli import console
from core.cli.app import app
from core.cli.console import JsonOption, RunOption, StoreOption, existing_store


@app.command()
def audit(run: RunOption = None, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Audit the features of a run by its labels: would more labels help, or better features? Kept for the Detectors page."""
    from core.jobs import running as jobs
    from core.models.audit.job import AUDIT
    from core.models.audit.request import AuditRequest

    with existing_store(store) as opened, console.progress_bar() as progress:
        found = jobs.run(opened, AUDIT, AuditRequest(run), progress)
    plain = to_dict(found)
    if as_json:
        console.show_json(plain)
        return
    show(plain)


def to_dict(found: Any) -> dict[str, Any]:
    """An audit in plain types: figures as value, low and high, None where not known."""
    from core.models.audit.worker import as_row

    about = {key: str(value) if key == "finished_at" else value for key, value in found.about.items() if key != "settings"}
    return {**about, "findings": [as_row(one) for one in found.findings]}


def show(plain: dict[str, Any]) -> None:
    """The table and its line."""
    names = {"score": "score", "oracle": "oracle", "oracle_all": "all classes", "held_out": "held out"}
    gaps = {"not_extracted": "not extracted", "not_represented": "not represented"}
    rows = [
        [row["name"], row["score_by"], *(row[name][0] for name in names), *(_gap(row[name]) for name in gaps)] for row in plain["findings"]
    ]
    title = f"ROC-AUC by {plain['n_broken']:,} broken and {plain['n_ok']:,} ok labels, {plain['seconds']:.0f} s"
    console.show_table(title, ["features", "score by", *names.values(), *gaps.values()], rows)
    console.out.print("* beyond what chance explains; --json has all intervals.")
    console.out.print(plain["advice"].replace("`", ""))
    if plain["missing"]:
        console.out.print(f"Holding fault families out needs {plain['missing']}.")
    if plain["left_out"]:
        console.out.print(f"Without stored features: {', '.join(plain['left_out'])}.")


def _gap(value: list[float | None]) -> str:
    """A gap with its sign, and a star where its interval lies on one side of 0."""
    share, low, high = value
    if share is None:
        return "\N{EN DASH}"
    return f"{share:+.3f}" + ("*" if low is not None and high is not None and low * high > 0 else "")
