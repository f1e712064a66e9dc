"""Viewer of an evaluation: FSC curves, values along the model, the coloured model in ChimeraX, and the report."""

from pwem.viewers import EmPlotter, EmProtocolViewer
from pyworkflow.protocol import params
from pyworkflow.viewer import DESKTOP_TKINTER

from cryoresplugin.protocols import CryoresProtEvaluate
from cryoresplugin.viewers.results import ResultViewer

COLUMNS = {"q_score": "Q-score", "cc": "Correlation", "local_resolution": "Local resolution (Å)"}
SIDES = {"_before": "before", "": "after"}
NAMES = ("chain", "number", "residue")
"""Columns of the table of residues that are words."""


class CryoresEvaluateViewer(ResultViewer, EmProtocolViewer):
    """Curves before and after; Q-score, correlation and local resolution of every residue; ChimeraX; the report."""

    _label = "viewer evaluation"
    _targets = [CryoresProtEvaluate]
    _environments = [DESKTOP_TKINTER]

    def _defineParams(self, form):
        form.addSection(label="Visualization")
        form.addParam("doShowCurves", params.LabelParam, label="Show the FSC of map and model")
        form.addParam("column", params.EnumParam, default=0, choices=list(COLUMNS.values()), label="Value")
        form.addParam("doShowResidues", params.LabelParam, label="Show it along the model")
        form.addParam("doShowChimera", params.LabelParam, label="Show the model coloured by Q-score in ChimeraX")
        form.addParam("doShowReport", params.LabelParam, label="Open the report in a browser",
                      help="It has the table of all measures before and after.")  # fmt: skip

    def _getVisualizeDict(self):
        return {
            "doShowCurves": self._showCurves,
            "doShowResidues": self._showResidues,
            "doShowChimera": self._showChimera,
            "doShowReport": self._showReport,
        }

    def _showCurves(self, param=None):
        columns = self._table("model_fsc.csv")
        plotter = EmPlotter(1, 1, mainTitle="FSC of map and model")
        axes = plotter.createSubPlot("", "frequency (1/Å)", "FSC")
        for name, values in columns.items():
            if name != "frequency":
                axes.plot(columns["frequency"], values, label=name.replace("_", " "))
        for threshold in (0.143, 0.5):
            axes.axhline(threshold, color="gray", linestyle=":")
        axes.legend()
        return [plotter]

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
