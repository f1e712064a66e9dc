"""The page ``report.html``: one file that works without a network, with figures that can be turned and read off."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser
from typing import Any, Dict, Iterable, List, Mapping, Tuple

from cryores.method import Method, parameters_of

CONFIG = {
    "displaylogo": False,
    "responsive": True,
    # plotly offers to upload the figure with its data: maps are not published by a slip of the mouse.
    "modeBarButtonsToRemove": ["sendChartToCloud", "sendDataToCloud"],
    "plotlyServerURL": "",
}

FILES = {
    "map.mrc": "the density that view.cxc shows",
    "mask.mrc": "the mask, made because none was given",
    "view.cxc": "open it in ChimeraX: the surface, coloured",
}
"""Files of many methods; those that `Method.outputs` names have their words there."""

FILLED = "what view.cxc colours by: continued beyond the mask, not for measuring"

BEFORE_FIGURE = "{ const figure = "
"""How the script of a figure begins; what follows is the figure in JSON."""

STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #1a1a1a;
  font: 1.05rem/1.55 system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .6rem; }
p { max-width: 46rem; }
.about { color: #4a4a4a; margin: 0; }
.numbers { display: flex; flex-wrap: wrap; gap: 1rem 2.6rem; margin: 1.6rem 0; padding: 0; }
.numbers div { min-width: 7rem; }
.numbers dt { color: #4a4a4a; font-size: .95rem; }
.numbers dd { margin: 0; font-size: 1.7rem; font-weight: 600; line-height: 1.25; font-variant-numeric: tabular-nums; }
.warnings { border-left: .3rem solid #b34700; background: #fff6ee; padding: .8rem 1.2rem; margin: 1.4rem 0; }
.warnings h2 { margin: 0 0 .3rem; font-size: 1.1rem; }
.warnings ul { margin: 0; padding-left: 1.2rem; }
figure { margin: 0; }
figcaption { color: #4a4a4a; max-width: 46rem; font-size: .95rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid #ddd; }
td { font-variant-numeric: tabular-nums; }
td code { word-break: break-all; }
code { font: .88em ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; overflow-wrap: anywhere; }
@media print { .modebar-container { display: none; } }
"""


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading, a plotly figure (None: there is nothing to draw) and words below it."""

    heading: str
    figure: Any
    words: str


# --- the page -----------------------------------------------------------------------------------------------------


def page(method: Method, record: Mapping[str, Any], sections: List[Section]) -> str:
    """Return the text of the page for a record (see `cryores.report.record`) and the sections that show the result."""
    from plotly.offline import get_plotlyjs

    script = f"<script>{get_plotlyjs()}</script>" if any(section.figure is not None for section in sections) else ""
    body = [
        f"<h1>{escape(method.title)}</h1>",
        f'<p class="about">{escape(_sentence(method.summary))} cryores {escape(record["version"])}</p>',
        _numbers(headline(record["summary"])),
        f"<p>{escape(_sentence(record['criterion']))}</p>",
        _warnings(record["warnings"]),
        *(_section(section, number) for number, section in enumerate(sections)),
        _table("Files", ("File", "What it is"), _file_rows(method, record["files"])),
        _table("Parameters", ("Parameter", "Value", "Meaning"), _parameter_rows(method, record["parameters"])),
        _table("Inputs", ("Input", "File", "Voxels (z, y, x)", "Voxel size (Å)", "SHA-256"), _input_rows(record)),
        _table("Numbers", ("Name in report.json", "Value"), _summary_rows(record["summary"])),
        _table("Run", ("Quantity", "Value"), _run_rows(record)),
        _citations(record["citations"]),
    ]
    return document(f"{method.title}: cryores report", f"<style>{STYLE}</style>\n{script}", filter(None, body))


def document(title: str, head: str, body: Iterable[str]) -> str:
    """Return the text of a page from its title, what else its head holds, and the parts of its body."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n{head}\n</head>\n"
        "<body>\n<main>\n" + "\n".join(body) + "\n</main>\n</body>\n</html>\n"
    )


@dataclass(frozen=True)
class PageContent:
    """What a page shows: its title, and its sections, whose figures are plotly's JSON as dicts."""

    title: str
    sections: List[Section]


def read_page(text: str) -> PageContent:
    """Return the title and the drawn sections of a page that `page` has made, for showing them elsewhere."""
    reader = _PageReader()
    reader.feed(text)
    reader.close()
    return PageContent(reader.title.strip(), reader.sections)


class _PageReader(HTMLParser):
    """Collects the texts of h1, h2 and figcaption, and the JSON of every figure."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.sections: List[Section] = []
        self._heading, self._words, self._figure, self._inside = "", "", None, ""

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        if tag == "h2":
            self._heading, self._words, self._figure = "", "", None
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == "figure":
            self.sections.append(Section(self._heading, self._figure, self._words))
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "h1":
            self.title += data
        elif self._inside == "h2":
            self._heading += data
        elif self._inside == "figcaption":
            self._words += data
        elif self._inside == "script" and data.startswith(BEFORE_FIGURE):
            self._figure = json.JSONDecoder().raw_decode(data, len(BEFORE_FIGURE))[0]


def plotly_script() -> bytes:
    """Return plotly.js, gzipped, for a page that draws figures which it is given."""
    from plotly.offline import get_plotlyjs

    return gzip.compress(get_plotlyjs().encode(), 6)


def headline(summary: Mapping[str, Any]) -> List[Tuple[str, str]]:
    """Return the few numbers that a reader looks for first, as (name, text)."""
    found: List[Tuple[str, str]] = []
    if isinstance(summary.get("median"), float):
        unit = summary.get("unit", "Å")
        found.append(("Median", f"{summary['median']:.2f} {unit}".strip()))
        found.append(("5–95 % of voxels", f"{summary['p5']:.2f} to {summary['p95']:.2f} {unit}".strip()))
    for title, key in (("FSC", "resolution"), ("Map–model FSC", "model_resolution")):
        values = summary.get(key)
        if isinstance(values, Mapping):
            found += [
                (f"{title} at {n}", f"{v:.2f} Å") for n, v in values.items() if v is not None and n in ("0.143", "0.5")
            ]
    occupancy = summary.get("occupancy", {})
    if occupancy.get("0.9") and occupancy.get("0.1"):
        found.append(("FSO from 0.9 to 0.1", f"{occupancy['0.9']:.2f}–{occupancy['0.1']:.2f} Å"))
    if isinstance(summary.get("sphericity"), float):
        found.append(("Sphericity", f"{summary['sphericity']:.3f}"))
    if "best_verdict" in summary:
        found.append(("Best map", f"{summary['best']}, {summary['best_verdict']}"))
    if isinstance(summary.get("bfactor"), float):
        found.append(("B-factor", f"{summary['bfactor']:.1f} Å²"))
    if summary.get("global_resolution") is not None and "FSC at 0.143" not in dict(found):
        found.append(("Global FSC at 0.143", f"{summary['global_resolution']:.2f} Å"))
    if "undetermined_fraction" in summary:
        found.append(("Undetermined", f"{100.0 * summary['undetermined_fraction']:.1f} % of the mask"))
    return found


def _numbers(numbers: List[Tuple[str, str]]) -> str:
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in numbers)
    return f'<dl class="numbers">{cells}</dl>' if cells else ""


def _warnings(warnings: List[str]) -> str:
    items = "".join(f"<li>{escape(_sentence(text))}</li>" for text in warnings)
    return f'<div class="warnings" role="note"><h2>Before you trust this</h2><ul>{items}</ul></div>' if items else ""


def _section(section: Section, number: int) -> str:
    drawn = "" if section.figure is None else _drawn(section.figure, f"figure-{number}")
    label = escape(section.heading, quote=True)
    caption = f"<figcaption>{escape(section.words)}</figcaption>"
    return f'<section><h2>{label}</h2><figure role="group" aria-label="{label}">{drawn}{caption}</figure></section>'


def _drawn(figure: Any, name: str) -> str:
    # "</" would end the script, wherever it stands in a text.
    data = figure.to_json().replace("</", "<\\/")
    call = f"{BEFORE_FIGURE}{data}; Plotly.newPlot('{name}', figure.data, figure.layout, {json.dumps(CONFIG)});"
    return f'<div id="{name}"></div><script>{call} }}</script>'


def _table(heading: str, columns: Tuple[str, ...], rows: List[Tuple[str, ...]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<section><h2>{escape(heading)}</h2><div class="scroll">{table}</div></section>'


def _parameter_rows(method: Method, values: Mapping[str, Any]) -> List[Tuple[str, ...]]:
    return [
        (f"<code>{p.option}</code>", _value(values.get(p.name), p.unit), escape(p.help))
        for p in parameters_of(method.parameters)
    ]


def _summary_rows(summary: Mapping[str, Any]) -> List[Tuple[str, ...]]:
    return [(f"<code>{escape(name)}</code>", _value(value)) for name, value in summary.items() if value is not None]


def _input_rows(record: Mapping[str, Any]) -> List[Tuple[str, ...]]:
    rows: List[Tuple[str, ...]] = [
        (
            escape(role),
            f"<code>{escape(item['path'])}</code>",
            " × ".join(map(str, item["shape"] or ())) or "–",
            " × ".join(f"{size:.4g}" for size in item["voxel_size"] or ()) or "–",
            f"<code>{item['sha256']}</code>",
        )
        for role, item in record["inputs"].items()
    ]
    return rows + (
        [("mask", "made from the maps: <code>mask.mrc</code>", "–", "–", "–")] if record["mask_was_made"] else []
    )


def _file_rows(method: Method, files: List[str]) -> List[Tuple[str, ...]]:
    """Return the files of a run with what they are; of those whose names it makes up, the pattern."""
    told = {name: meaning for name, meaning in method.outputs.items() if name in files or "NAME" in name}
    shared = {name: FILLED if name.endswith("_filled.mrc") else FILES.get(name, "") for name in files}
    rows = {**{name: meaning for name, meaning in shared.items() if meaning}, **told}
    return [(f"<code>{escape(name)}</code>", escape(meaning)) for name, meaning in sorted(rows.items())]


def _run_rows(record: Mapping[str, Any]) -> List[Tuple[str, ...]]:
    rows: List[Tuple[str, ...]] = [(escape(stage), f"{seconds:.2f} s") for stage, seconds in record["timings"].items()]
    rows += [
        ("Memory at the peak", f"{record['peak_memory_mb']:.0f} MB"),
        ("Memory planned", f"{record['planned_memory_mb']:.0f} MB"),
        ("Threads", str(record["threads"])),
        ("Device", escape(record["device"])),
        ("System", escape(f"{record['platform']}, Python {record['python']}")),
    ]
    return rows + ([("Seed", str(record["seed"]))] if record["seed"] is not None else [])


def _citations(citations: List[Dict[str, str]]) -> str:
    if not citations:
        return ""
    items = "".join(f"<li>{escape(c['text'])} {escape(c['doi'] and 'doi:' + c['doi'])}</li>" for c in citations)
    return f"<section><h2>Please cite</h2><ul>{items}</ul></section>"


def _value(value: Any, unit: str = "") -> str:
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return escape(", ".join(f"{key}: {_value(item)}" for key, item in value.items()))
    if isinstance(value, list):
        return escape(", ".join(_value(item) for item in value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return escape(f"{text} {unit}".strip())


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")
