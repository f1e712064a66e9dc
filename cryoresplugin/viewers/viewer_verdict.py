"""Viewer of a verdict on sharpening: histograms with the limit, the trend over B, the best map, and the report."""

import numpy as np
from pwem.viewers import EmPlotter, EmProtocolViewer
from pyworkflow.protocol import params
from pyworkflow.viewer import DESKTOP_TKINTER

from cryores.resolution.compare import file_stem
from cryoresplugin.protocols import CryoresProtVerdict
from cryoresplugin.viewers.results import ResultViewer

BINS = 80


class CryoresVerdictViewer(ResultViewer, EmProtocolViewer):
    """What the halves hold above DeepRes of every map, with the limit through all; medians over B; the best map."""

    _label = "viewer sharpening verdict"
    _targets = [CryoresProtVerdict]
    _environments = [DESKTOP_TKINTER]

    def _defineParams(self, form):
        form.addSection(label="Visualization")
        form.addParam("doShowHistograms", params.LabelParam, label="Histograms with the limit")
        form.addParam("doShowTrend", params.LabelParam, label="Medians over B")
        form.addParam("doShowChimera", params.LabelParam, label="The best map, in ChimeraX",
                      help="Coloured by its DeepRes.")  # fmt: skip
        form.addParam("doShowReport", params.LabelParam, label="Report, in a browser",
                      help="It has the table and the slices.")  # fmt: skip

    def _getVisualizeDict(self):
        return {
            "doShowHistograms": self._showHistograms,
            "doShowTrend": self._showTrend,
            "doShowChimera": self._showChimera,
            "doShowReport": self._showReport,
        }

    def _showHistograms(self, param=None):
        summary = self._summary()
        halves = summary["half_maps"]
        rows = {halves["method"]: ("resolution.mrc", f"median {halves['median']:.2f} Å")}
        for name, row in summary["maps"].items():
            rows[name] = (f"deepres_{file_stem(name)}.mrc", f"{row['verdict']}, median {row['median']:.2f} Å")
        values = {name: self._values(file) for name, (file, _) in rows.items()}
        low = min(np.percentile(one, 0.5) for one in values.values())
        high = max(np.percentile(one, 97) for one in values.values())
        plotter = EmPlotter(len(rows), 1, mainTitle=f"Best: {summary['best']}, {summary['best_verdict']}")
        for name, (_, words) in rows.items():
            axes = plotter.createSubPlot(f"{name}: {words}", "", "")
            axes.hist(values[name], bins=BINS, range=(low, high), color="tab:gray")
            axes.axvline(halves["p20"], color="red", label=f"limit: 20th percentile of {halves['method']}")
            axes.tick_params(labelbottom=False)
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("Resolution (Å)")
        axes.legend()
        plotter.tightLayoutOn = False
        figure = plotter.getFigure()
        figure.supylabel("# of voxels", fontsize="medium")
        figure.subplots_adjust(left=0.17, top=0.86, hspace=0.6)
        return [plotter]

    def _showTrend(self, param=None):
        summary = self._summary()
        rows = [row for row in summary["maps"].values() if row["bfactor"] is not None]
        if not rows:
            return [self.infoMessage("Only given maps were judged: there are no B-factors.", "No trend")]
        plotter = EmPlotter(1, 1, mainTitle="DeepRes over B")
        axes = plotter.createSubPlot("", "B-factor (Å²)", "median of DeepRes (Å)")
        axes.plot([row["bfactor"] for row in rows], [row["median"] for row in rows], marker="o", label="DeepRes")
        halves = summary["half_maps"]
        axes.axhline(halves["p20"], color="red", label=f"limit: 20th percentile of {halves['method']}")
        axes.axhline(halves["median"], color="gray", linestyle="--", label=f"median of {halves['method']}")
        axes.invert_xaxis()
        axes.margins(y=0.3)  # room for the legend
        axes.legend()
        return [plotter]

    def _insteadOfChimera(self):
        return "The histograms", self._showHistograms()

    def _summary(self):
        return self.protocol.readReport()["summary"]

    def _values(self, name):
        data = self._map(name)
        return data[data > 0]
