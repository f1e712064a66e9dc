"""Files of FSC curves: writes STAR, EMDB XML and CSV text; reads EMDB XML, STAR tables and two-column text."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Tuple, Union

import numpy as np
import numpy.typing as npt

from cryores.errors import InputError
from cryores.files import require_file
from cryores.fourier import Float64

FREQUENCY_LABELS = ("rlnResolution", "resolutionFreqFourier", "rlnResolutionInversePixel")
"""STAR columns that hold the frequency: RELION's and Xmipp's in 1/Å, and that of a detector's MTF in 1/pixel."""

CURVE_LABELS = (
    "rlnFourierShellCorrelationCorrected",
    "rlnFourierShellCorrelation",
    "rlnGoldStandardFsc",
    "resolutionFRC",
)
"""STAR columns that hold a curve, the one to prefer first."""


@dataclass(frozen=True)
class Curve:
    """A curve over frequency.

    Parameters
    ----------
    frequency : ndarray of float64
        In 1/Å.
    values : ndarray of float64, same length
        The correlation there.
    title : str
        What the file calls it.
    """

    frequency: Float64
    values: Float64
    title: str = ""


# --- writing ------------------------------------------------------------------------------------------------------


def star_text(general: Mapping[str, object], columns: Mapping[str, npt.ArrayLike]) -> str:
    """Return a STAR file of two blocks: ``data_general`` with single values and ``data_fsc`` with a table.

    Parameters
    ----------
    general : mapping
        Label -> value.
    columns : mapping
        Label -> column; all of one length, whole numbers written as such.
    """
    lines = ["data_general", ""]
    lines += [
        f"_{label:<48} {value:.6f}" if isinstance(value, float) else f"_{label:<48} {value}"
        for label, value in general.items()
    ]
    lines += ["", "data_fsc", "", "loop_"]
    lines += [f"_{label} #{number}" for number, label in enumerate(columns, 1)]
    lines += [" ".join(f"{text:>12}" for text in row) for row in _rows(columns)]
    return "\n".join(lines) + "\n\n"


def csv_text(columns: Mapping[str, npt.ArrayLike]) -> str:
    """Return a table as comma-separated text with one header line."""
    lines = [",".join(columns)] + [",".join(row) for row in _rows(columns)]
    return "\n".join(lines) + "\n"


def xml_text(curve: Curve) -> str:
    """Return a curve in the XML format in which EMDB takes and gives FSC curves."""
    root = ElementTree.Element("fsc", title=curve.title, xaxis="Resolution (A-1)", yaxis="Correlation Coefficient")
    for frequency, value in zip(curve.frequency, curve.values):
        coordinate = ElementTree.SubElement(root, "coordinate")
        ElementTree.SubElement(coordinate, "x").text = f"{frequency:.8g}"
        ElementTree.SubElement(coordinate, "y").text = f"{value:.8g}"
    return ElementTree.tostring(root, encoding="unicode").replace("<coordinate>", "\n  <coordinate>") + "\n"


def _rows(columns: Mapping[str, npt.ArrayLike]) -> List[Tuple[str, ...]]:
    return list(zip(*(_cells(np.asarray(column)) for column in columns.values())))


def _cells(column: npt.NDArray[np.generic]) -> List[str]:
    if np.issubdtype(column.dtype, np.integer):
        return [str(value) for value in column.tolist()]
    return [f"{value:.6f}" for value in column.tolist()]


# --- reading ------------------------------------------------------------------------------------------------------


def read_curve(path: Union[str, os.PathLike[str]], column: Optional[str] = None) -> Curve:
    """Read an FSC curve.

    Parameters
    ----------
    path : path
        An EMDB XML file, a STAR table of RELION, Xmipp or cryores, or text of two columns (1/Å and correlation).
    column : str, optional
        The STAR column to read; default, the first of `CURVE_LABELS` that the file has.

    Raises
    ------
    InputError
        ``E_NO_FILE`` missing · ``E_READ`` not to be read · ``E_CURVE`` not such a file, or without that column.
    """
    path = require_file(path)
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        curve = _parse(text, column, path.stem)
        if not curve.frequency.size or not np.isfinite(curve.frequency).all():
            raise ValueError("no rows of finite numbers")
        return curve
    except (ValueError, IndexError, KeyError, TypeError, ElementTree.ParseError) as error:
        raise InputError(
            "E_CURVE", f"{path} holds no FSC curve ({error})", "give an EMDB .xml, a .star table or text of two columns"
        ) from error


def read_star_table(text: str, required: str) -> Dict[str, List[str]]:
    """Return the first loop of a STAR text that has the column ``required``, as label -> cells.

    Raises
    ------
    KeyError
        If no loop has it.
    """
    for chunk in text.split("loop_")[1:]:
        labels: List[str] = []
        rows: List[List[str]] = []
        for line in chunk.splitlines():
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0].startswith("data_"):
                break
            if words[0].startswith("_") and not rows:
                labels.append(words[0][1:])
            else:
                rows.append(words)
        if required in labels:
            complete = [row for row in rows if len(row) == len(labels)]
            return {label: [row[i] for row in complete] for i, label in enumerate(labels)}
    raise KeyError(f"no column {required}")


def _parse(text: str, column: Optional[str], stem: str) -> Curve:
    if text.lstrip().startswith("<"):
        return _parse_xml(text)
    if "loop_" in text:
        return _parse_star(text, column)
    rows = [line for line in text.splitlines() if line.split("#")[0].strip()]
    table = np.loadtxt(rows, ndmin=2, usecols=(0, 1)) if rows else np.empty((0, 2))
    return Curve(table[:, 0], table[:, 1], stem)


def _parse_xml(text: str) -> Curve:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it defines entities, which a curve does not need")
    root = ElementTree.fromstring(text)
    points = [(float(point.findtext("x", "")), float(point.findtext("y", ""))) for point in root.iter("coordinate")]
    frequency, values = np.array(points, dtype=np.float64).T
    return Curve(frequency, values, root.get("title", ""))


def _parse_star(text: str, column: Optional[str]) -> Curve:
    labels = [column] if column else [label for label in CURVE_LABELS if f"_{label} " in text or f"_{label}\n" in text]
    if not labels:
        raise KeyError(f"no column {' or '.join(CURVE_LABELS)}")
    table = read_star_table(text, labels[0])
    frequency = table[next((label for label in FREQUENCY_LABELS if label in table), FREQUENCY_LABELS[0])]
    return Curve(np.array(frequency, dtype=np.float64), np.array(table[labels[0]], dtype=np.float64), labels[0])
