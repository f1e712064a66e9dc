"""The page of a batch: every map with what every method found, its picture, and the way to its report."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence
from urllib.parse import quote

from cryores.report.html import STYLE, document, headline

PICTURES = ("slices.png", "fsc.png", "histogram.png")
"""Which picture of a result stands for it: the first that there is, else the first by name."""

GALLERY_STYLE = """
main { max-width: 84rem; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem 1.6rem; }
article { border-top: 1px solid #ddd; padding-top: .6rem; }
article h3 { font-size: 1.05rem; margin: 0; }
article img { width: 100%; height: auto; background: #f4f4f4; }
article p { margin: .2rem 0; color: #4a4a4a; font-size: .95rem; }
.failed p { color: #8a2b00; }
details { color: #4a4a4a; font-size: .95rem; }
"""


def gallery(records: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """Return the page for the records of `cryores.batch.summary`, whose folders lie in ``folder``."""
    states = [record["state"] for record in records]
    told = ", ".join(f"{states.count(state)} {state}" for state in ("done", "failed", "waiting") if state in states)
    by_name: Dict[str, List[Mapping[str, Any]]] = {}
    for record in records:
        by_name.setdefault(record["name"], []).append(record)
    sections = []
    for name, found in by_name.items():
        cards = "".join(_card(record, folder) for record in found)
        sections.append(f'<section><h2>{escape(name)}</h2><div class="maps">{cards}</div></section>')
    about = f'<p class="about">{told}. All numbers: <a href="summary.csv">summary.csv</a></p>'
    style = f"<style>{STYLE}{GALLERY_STYLE}</style>"
    body = [f"<h1>{len(by_name)} maps</h1>", about, *sections]
    return document(f"{len(by_name)} maps: cryores batch", style, body)


def _card(record: Mapping[str, Any], folder: Path) -> str:
    method = escape(record["method"])
    if record["state"] != "done":
        reason = escape(record["reason"] or "not yet")
        return f'<article class="{record["state"]}"><h3>{method}</h3><p>{reason}</p></article>'
    place = folder / record["folder"]
    report = json.loads((place / "report.json").read_text(encoding="utf-8"))
    found = "; ".join(f"{name}: {text}" for name, text in headline(report["summary"]))
    address = quote(record["folder"])
    drawn = [
        name for name in (*PICTURES, *sorted(report["files"])) if name in report["files"] and name.endswith(".png")
    ]
    shown = f"{escape(record['name'], quote=True)}, {method}"
    picture = f'<img src="{address}/{quote(drawn[0])}" alt="{shown}" loading="lazy">' if drawn else ""
    warned = _warned(report["warnings"])
    heading = f'<h3><a href="{address}/report.html">{method}</a></h3>'
    return f"<article>{heading}{picture}<p>{escape(found)}</p>{warned}</article>"


def _warned(warnings: List[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in warnings)
    count = f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}"
    return f"<details><summary>{count}</summary><ul>{items}</ul></details>" if items else ""
