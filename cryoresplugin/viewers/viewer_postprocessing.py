"""Viewer of processed maps: slices before and after, spectra, Guinier plot, changes, confidence, ChimeraX, report."""

import os

import numpy as np
from pwem.viewers import EmPlotter, EmProtocolViewer
from pyworkflow.protocol import params
from pyworkflow.viewer import DESKTOP_TKINTER

from cryores.fourier import shell_frequencies
from cryores.mapio import read_map
from cryores.report.drawings.processed_map import spectra_of
from cryoresplugin.protocols.protocol_postprocessing_base import CryoresPostprocessing
from cryoresplugin.viewers.results import MapsViewer
from cryoresplugin.viewers.slices import addSliceAxis

SIDES = {"before": "map.mrc", "after": "sharpened.mrc"}
THREE = (3, 4, 6)
"""Slices that are shown side by side, in ninths of the volume."""


class CryoresPostprocessingViewer(MapsViewer, EmProtocolViewer):
    """The map before and after: slices, spectra, Guinier plot; what was changed; surfaces side by side; the report."""

    _label = "viewer post-processing"
    _targets = [CryoresPostprocessing]
    _environments = [DESKTOP_TKINTER]
    _maps = {
        "doShowBefore": ("map.mrc", "Before"),
        "doShowAfter": ("sharpened.mrc", "After"),
        "doShowDifference": ("difference.mrc", "Difference (standard deviations)"),
        "doShowConfidence": ("confidence.mrc", "Confidence (0 to 1)"),
        "doShowNoise": ("noise.mrc", "Noise (standard deviation)"),
        "doShowResolution": ("resolution.mrc", "Local resolution (Å)"),
    }
    _labels = {
        "doShowBefore": "Slices of the input",
        "doShowAfter": "Slices of the processed map",
        "doShowDifference": "Slices of the difference",
        "doShowConfidence": "Slices of the confidence",
        "doShowNoise": "Slices of the noise that was let through",
        "doShowResolution": "Slices of the local resolution that was measured",
    }

    def _defineParams(self, form):
        form.addSection(label="Visualization")
        addSliceAxis(form)
        form.addParam("doShowBeforeAfter", params.LabelParam, label="Slices before and after, side by side")
        for name, label in self._labels.items():
            if self._has(self._maps[name][0]):
                form.addParam(name, params.LabelParam, label=label)
        form.addParam("doShowSpectra", params.LabelParam, label="Spectra before and after")
        if self._has("guinier.csv"):
            form.addParam("doShowGuinier", params.LabelParam, label="Guinier plot with the fit")
        coloured = ", the second by its confidence" if self._has("confidence.mrc") else ""
        form.addParam("doShowChimera", params.LabelParam, label=f"Both maps, in ChimeraX{coloured}")
        form.addParam("doShowReport", params.LabelParam, label="Report, in a browser",
                      help="It has what went and what came, and the table of numbers.")  # fmt: skip

    def _getVisualizeDict(self):
        return {
            "doShowBeforeAfter": self._showBeforeAfter,
            **dict.fromkeys(self._maps, self._showSlices),
            "doShowSpectra": self._showSpectra,
            "doShowGuinier": self._showGuinier,
            "doShowChimera": self._showChimera,
            "doShowReport": self._showReport,
        }

    def _showBeforeAfter(self, param=None):
        plotter = EmPlotter(len(SIDES), len(THREE), mainTitle="Before and after")
        axis = self.getEnumText("sliceAxis")
        for side, file in SIDES.items():
            data = self._map(file)
            # Each in its own grey scale: processing changes the height of density.
            low, high = np.percentile(data, (0.5, 99.8))
            length = data.shape["zyx".index(axis)]
            for ninth in THREE:
                number = ninth * length // 9
                axes = plotter.createSubPlot(f"{side}, {axis} = {number}", "", "")
                plane = data.take(number, axis="zyx".index(axis))
                plotter.plotMatrix(axes, plane, low, high, cmap="gray", interpolation="nearest", origin="lower")
        return [plotter]

    def _showSpectra(self, param=None):
        before, after = (read_map(os.path.join(self._folder(), file)) for file in SIDES.values())
        frequency = shell_frequencies(before.grid)
        plotter = EmPlotter(1, 1, mainTitle="Mean amplitude of each shell")
        axes = plotter.createSubPlot("", "frequency (1/Å)", "amplitude")
        for name, amplitude in spectra_of(before, after, self.protocol.numberOfThreads.get()).items():
            # Shell 0 holds the mean density.
            axes.semilogy(frequency[1:], amplitude[1:], label=name)
            if name == "before":  # where the processed map ends there is nothing to see
                axes.set_ylim(bottom=amplitude[1:].min() / 10)
        axes.legend()
        return [plotter]

    def _has(self, name):
        return os.path.exists(os.path.join(self._folder(), name))

    def _showGuinier(self, param=None):
        columns = self._table("guinier.csv")
        squared = columns.pop("inverse_squared_resolution")
        plotter = EmPlotter(1, 1, mainTitle="Guinier plot")
        axes = plotter.createSubPlot("", "1 / resolution² (1/Å²)", "ln of the amplitude")
        for name, values in columns.items():
            axes.plot(squared, values, label=name[len("ln_") :].replace("_", " "))
        summary = self.protocol.readReport()["summary"]
        if "fit_max_resolution" in summary:
            ends = (summary["fit_max_resolution"] ** -2, summary["fit_min_resolution"] ** -2)
            axes.axvspan(*ends, color="gray", alpha=0.2, label=f"fitted, B = {summary['bfactor']:.1f} Å²")
        axes.legend()
        return [plotter]

    def _insteadOfChimera(self):
        return "The slices", self._showBeforeAfter()
