"""Viewer of an evaluation: FSC curves, values along the model, the coloured model in ChimeraX, and the report."""

import csv
import os

from pwem.viewers import ChimeraAttributeViewer, EmPlotter, EmProtocolViewer
from pyworkflow.protocol import params
from pyworkflow.viewer import DESKTOP_TKINTER, View

from cryoresplugin.protocols import CryoresProtEvaluate
from cryoresplugin.viewers.results import ResultViewer

COLUMNS = {"q_score": "Q-score", "cc": "Correlation", "local_resolution": "Local resolution (Å)"}
SIDES = {"_before": "before", "": "after"}
NAMES = ("chain", "number", "residue")
"""Columns of the table of residues that are words."""


class CryoresResidueViewer(ChimeraAttributeViewer):
    """Scipion's viewer of attributes of a model, for those of an evaluation; `CryoresEvaluateViewer` opens it."""

    _label = "viewer of residues"

    def _defineParams(self, form):
        super()._defineParams(form)
        # Equal limits are that viewer's word for those of the data.
        for name in ("lowest", "highest"):
            form.getParam(name).setDefault(0)
        form.getParam("chain_name").setDefault(self._firstChain())

    def _firstChain(self):
        with open(os.path.join(self.protocol._resultFolder(), "residues.csv"), encoding="utf-8", newline="") as file:
            return next(csv.DictReader(file))["chain"]


class AttributesView(View):
    """Opens the viewer of the residues' values in a window of its own."""

    def __init__(self, project, protocol, window):
        self.viewer = CryoresResidueViewer(project=project)
        self._protocol, self._window = protocol, window

    def show(self):
        """Open it."""
        self.viewer.visualize(self._protocol, windows=self._window)


class CryoresEvaluateViewer(ResultViewer, EmProtocolViewer):
    """Curves before and after; Q-score, correlation and local resolution of every residue; ChimeraX; the report."""

    _label = "viewer evaluation"
    _targets = [CryoresProtEvaluate]
    _environments = [DESKTOP_TKINTER]

    def _defineParams(self, form):
        form.addSection(label="Visualization")
        if self._hasModel():
            form.addParam("doShowCurves", params.LabelParam, label="FSC of map and model")
            form.addParam("column", params.EnumParam, default=0, choices=list(COLUMNS.values()), label="Value")
            form.addParam("doShowResidues", params.LabelParam, label="This value along the model")
            form.addParam("doShowAttributes", params.LabelParam, label="Values of the residues, and ChimeraX",
                          help="Histogram, one chain along its sequence, the model coloured by any value.")  # fmt: skip
            form.addParam("doShowChimera", params.LabelParam, label="Map, and model by Q-score, in ChimeraX")
        if self._hasHalves():
            form.addParam("doShowHalfCurves", params.LabelParam, label="FSC of the processed half with the raw one")
        form.addParam("doShowReport", params.LabelParam, label="Report, in a browser",
                      help="It has the table of all measures before and after.")  # fmt: skip

    def _getVisualizeDict(self):
        return {
            "doShowCurves": self._showCurves,
            "doShowResidues": self._showResidues,
            "doShowAttributes": self._showAttributes,
            "doShowHalfCurves": self._showHalfCurves,
            "doShowChimera": self._showChimera,
            "doShowReport": self._showReport,
        }

    def _showCurves(self, param=None):
        return [self._plotCurves("model_fsc.csv", "FSC of map and model")]

    def _showHalfCurves(self, param=None):
        return [self._plotCurves("half_fsc.csv", "FSC of half 1 with raw half 2")]

    def _plotCurves(self, table, title):
        columns = self._table(table)
        plotter = EmPlotter(1, 1, mainTitle=title)
        axes = plotter.createSubPlot("", "frequency (1/Å)", "FSC")
        for name, values in columns.items():
            if name != "frequency":
                axes.plot(columns["frequency"], values, label=name.replace("_", " "))
        for threshold in (0.143, 0.5):
            axes.axhline(threshold, color="gray", linestyle=":")
        axes.legend()
        return plotter

    def _hasModel(self):
        return self.protocol.model.get() is not None

    def _hasHalves(self):
        return self.protocol.processedHalf1.get() is not None

    def _showAttributes(self, param=None):
        return [AttributesView(self.getProject(), self.protocol, self.formWindow)]

    def _showResidues(self, param=None):
        title = self.getEnumText("column")
        name = next(key for key, words in COLUMNS.items() if words == title)
        columns = self._table("residues.csv", NAMES)
        plotter = EmPlotter(1, 1, mainTitle=title)
        axes = plotter.createSubPlot("", "residues, chain by chain", title)
        for ending, side in SIDES.items():
            if name + ending in columns:
                axes.plot(columns[name + ending], label=side, linewidth=1)
        axes.legend()
        return [plotter]

    def _insteadOfChimera(self):
        return "The values along the model", self._showResidues()
