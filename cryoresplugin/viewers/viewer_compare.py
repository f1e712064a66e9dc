"""Viewer of a comparison: histograms over each other, slices in one scale, ChimeraX, and the report with the tables."""

import numpy as np
from pwem.viewers import EmPlotter, EmProtocolViewer
from pyworkflow.protocol import params
from pyworkflow.viewer import DESKTOP_TKINTER

from cryores.resolution.compare import file_stem
from cryoresplugin.protocols import CryoresProtCompare
from cryoresplugin.viewers.results import ResultViewer
from cryoresplugin.viewers.slices import addSliceAxis, plotSlices

BINS = 60


class CryoresCompareViewer(ResultViewer, EmProtocolViewer):
    """Histograms and slices of every map in one colour scale; the surfaces; the report."""

    _label = "viewer comparison"
    _targets = [CryoresProtCompare]
    _environments = [DESKTOP_TKINTER]

    def _defineParams(self, form):
        form.addSection(label="Visualization")
        form.addParam("doShowHistograms", params.LabelParam, label="Show all histograms")
        form.addParam("shownMap", params.EnumParam, default=0, choices=list(self._rows()), label="Local resolution")
        addSliceAxis(form)
        form.addParam("doShowSlices", params.LabelParam, label="Show slices",
                      help="In the colours that all maps share.")  # fmt: skip
        form.addParam("doShowChimera", params.LabelParam, label="Show all in ChimeraX")
        form.addParam("doShowReport", params.LabelParam, label="Open the report in a browser",
                      help="It has the tables: medians, differences, rank correlations.")  # fmt: skip

    def _getVisualizeDict(self):
        return {
            "doShowHistograms": self._showHistograms,
            "doShowSlices": self._showSlices,
            "doShowChimera": self._showChimera,
            "doShowReport": self._showReport,
        }

    def _showHistograms(self, param=None):
        plotter = EmPlotter(1, 1, mainTitle="Local resolutions")
        axes = plotter.createSubPlot("", "Resolution (Å)", "share of the voxels")
        for name, row in self._rows().items():
            values = self._resolution(name).compressed()
            weights = np.full(values.size, 1.0 / values.size)
            axes.hist(values, bins=BINS, range=self._limits(), weights=weights, histtype="step",
                      label=f"{name}, median {row['median']:.2f} Å")  # fmt: skip
        axes.legend()
        return [plotter]

    def _showSlices(self, param=None):
        name = self.getEnumText("shownMap")
        return [plotSlices(self._resolution(name), self.getEnumText("sliceAxis"), name, self._limits(), "viridis")]

    def _insteadOfChimera(self):
        return "The slices", self._showSlices()

    def _rows(self):
        return self.protocol.readReport()["summary"]["maps"]

    def _limits(self):
        return min(row["p5"] for row in self._rows().values()), max(row["p95"] for row in self._rows().values())

    def _resolution(self, name):
        return np.ma.masked_equal(self._map(f"resolution_{file_stem(name)}.mrc"), 0)
