"""Files to take away: CSV that no spreadsheet runs, and a report in one HTML file that needs nothing else."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from core.ui.render import tables, text


def csv_file(rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> bytes:
    """Rows as CSV in UTF-8 with a header; text that looks like a formula gets a quote in front. No rows: the header alone."""
    names = list(columns or (rows[0] if rows else []))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows([text.cell(row.get(name)) for name in names] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def overview_html(sentence: str, facts: Sequence[tuple[str, str]], table: str) -> bytes:
    """The overview as one file: the sentence, what it is about, and the table of grids with its small pictures."""
    listed = "".join(f"<dt>{text.markup(name)}</dt><dd>{text.markup(value)}</dd>" for name, value in facts)
    made = text.absolute(datetime.now(UTC).replace(tzinfo=None))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>Heatproof report</title>
<style>{tables.CSS}
body {{ font: 400 15px/1.45 "Segoe UI", system-ui, sans-serif; color: #16232B; max-width: 1080px; margin: 32px auto; padding: 0 20px; }}
h1 {{ font-size: 21px; }} dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 3px 16px; }} dt {{ color: #5D6B74; }}
dd {{ margin: 0; }}
tr[data-pick] {{ cursor: auto; }} @media print {{ body {{ margin: 0; }} }}
</style></head><body>
<h1>{text.markup(sentence)}</h1>
<dl>{listed}</dl>
{table}
<p class="muted">Intervals are Wilson 95 %. Written by Heatproof, {made}.</p>
</body></html>
""".encode()
