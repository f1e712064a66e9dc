"""Viewer of a comparison: histograms over each other, slices in one scale, ChimeraX, and the report with the tables."""

import numpy as np
from pwem.viewers import EmProtocolViewer
from pyworkflow.protocol import params
from pyworkflow.viewer import DESKTOP_TKINTER

from cryores.resolution.compare import file_stem
from cryoresplugin.protocols import CryoresProtCompare
from cryoresplugin.viewers.histograms import plotOverlaid
from cryoresplugin.viewers.results import ResultViewer
from cryoresplugin.viewers.slices import addSliceAxis, plotSlices


class CryoresCompareViewer(ResultViewer, EmProtocolViewer):
    """Histograms and slices of every map in one colour scale; the surfaces; the report."""

    _label = "viewer comparison"
    _targets = [CryoresProtCompare]
    _environments = [DESKTOP_TKINTER]

    def _defineParams(self, form):
        form.addSection(label="Visualization")
        form.addParam("doShowHistograms", params.LabelParam, label="All histograms")
        form.addParam("shownMap", params.EnumParam, default=0, choices=list(self._rows()), label="Local resolution")
        addSliceAxis(form)
        form.addParam("doShowSlices", params.LabelParam, label="Slices of this map",
                      help="In the colours that all maps share.")  # fmt: skip
        form.addParam("doShowChimera", params.LabelParam, label="All maps, in ChimeraX")
        form.addParam("doShowReport", params.LabelParam, label="Report, in a browser",
                      help="It has the tables: medians, differences, rank correlations.")  # fmt: skip

    def _getVisualizeDict(self):
        return {
            "doShowHistograms": self._showHistograms,
            "doShowSlices": self._showSlices,
            "doShowChimera": self._showChimera,
            "doShowReport": self._showReport,
        }

    def _showHistograms(self, param=None):
        values = {
            f"{name}, median {row['median']:.2f} Å": self._resolution(name).compressed()
            for name, row in self._rows().items()
        }
        return [plotOverlaid("Local resolutions", "Resolution (Å)", values)]

    def _showSlices(self, param=None):
        name = self.getEnumText("shownMap")
        return [
            plotSlices(self._resolution(name), self.getEnumText("sliceAxis"), f"{name} (Å)", self._limits(), "viridis")
        ]

    def _insteadOfChimera(self):
        return "The slices", self._showSlices()

    def _rows(self):
        return self.protocol.readReport()["summary"]["maps"]

    def _limits(self):
        return min(row["p5"] for row in self._rows().values()), max(row["p95"] for row in self._rows().values())

    def _resolution(self, name):
        return np.ma.masked_equal(self._map(f"resolution_{file_stem(name)}.mrc"), 0)
