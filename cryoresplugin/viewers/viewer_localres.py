"""Local-resolution viewer: slices, coloured slices, histogram, ChimeraX and the report, without xmipp3 or Java."""

import os

import numpy as np
from pwem.viewers import EmPlotter, LocalResolutionViewer
from pwem.wizards import ColorScaleWizardBase
from pyworkflow.protocol import params
from pyworkflow.viewer import DESKTOP_TKINTER

from cryoresplugin.protocols import (
    CryoresProtBlocres,
    CryoresProtBlocresShells,
    CryoresProtDeepRes,
    CryoresProtMonoRes,
    CryoresProtRelionLocres,
    CryoresProtResMap,
)
from cryoresplugin.viewers.results import ResultViewer
from cryoresplugin.viewers.slices import SHOWN, addColourBar, addSliceAxis


class CryoresLocalResolutionViewer(ResultViewer, LocalResolutionViewer):
    """Slices, histogram and coloured surface of a local-resolution map."""

    _label = "viewer local resolution"
    _targets = [
        CryoresProtMonoRes,
        CryoresProtBlocres,
        CryoresProtBlocresShells,
        CryoresProtResMap,
        CryoresProtRelionLocres,
        CryoresProtDeepRes,
    ]
    _environments = [DESKTOP_TKINTER]
    _shown = "resolution"

    def _defineParams(self, form):
        summary = self._report()["summary"]
        form.addSection(label="Visualization")
        self._defineChoice(form)
        form.addParam("doShowVolumeSlices", params.LabelParam, label=f"Show {self._shown} slices")
        form.addParam("doShowOriginalVolumeSlices", params.LabelParam, label="Show original volume slices")
        form.addParam("doShowResHistogram", params.LabelParam, label=f"Show {self._shown} histogram")
        form.addParam("doShowReport", params.LabelParam, label="Open the report in a browser")
        group = form.addGroup(f"Colored {self._shown} Slices and Volumes")
        addSliceAxis(group)
        group.addParam("doShowVolumeColorSlices", params.LabelParam, label="Show colored slices")
        group.addParam(
            "doShowOneColorslice", params.LabelParam, expertLevel=params.LEVEL_ADVANCED, label="Show selected slice"
        )
        group.addParam("sliceNumber", params.IntParam, default=-1, expertLevel=params.LEVEL_ADVANCED,
                       label="Show slice number", help="-1: the central one.")  # fmt: skip
        group.addParam("doShowChimera", params.LabelParam, label=f"Show {self._shown.capitalize()} map in ChimeraX")
        ColorScaleWizardBase.defineColorScaleParams(
            group,
            defaultLowest=round(summary.get("p5", 0.0), 1),
            defaultHighest=round(summary.get("p95", 1.0), 1),
            defaultColorMap="viridis",
        )

    def _defineChoice(self, form):
        """Add the field that chooses one of several results, where there are several."""

    def _validate(self):
        determined = "median" in self._report()["summary"]
        return [] if determined else [f"No voxel could be given a {self._shown}: see the summary and the report."]

    def _getVisualizeDict(self):
        return {
            "doShowVolumeSlices": self._showResolutionSlices,
            "doShowOriginalVolumeSlices": self._showOriginalSlices,
            "doShowResHistogram": self._showHistogram,
            "doShowReport": self._showReport,
            "doShowVolumeColorSlices": self._showColorSlices,
            "doShowOneColorslice": self._showOneSlice,
            "doShowChimera": self._showChimera,
        }

    def _showResolutionSlices(self, param=None):
        return [self._slices(self._title(), self._resolution(), "gray")]

    def _showOriginalSlices(self, param=None):
        data, _, _, _ = self.getImgData(os.path.join(self._folder(), "map.mrc"), minMaskValue=None)
        return [self._slices("Map", data, "gray")]

    def _showColorSlices(self, param=None):
        return [self._slices(self._title(), self._resolution(), self._getColorName(), *self._limits())]

    def _showOneSlice(self, param=None):
        data = self._resolution()
        number = self.sliceNumber.get()
        axis = self.getEnumText("sliceAxis")
        number = data.shape["zyx".index(axis)] // 2 if number < 0 else number
        plotter = EmPlotter(1, 1, mainTitle=self._title())
        self._plotSlice(plotter, data, number, self._getColorName(), *self._limits())
        return [plotter]

    def _showHistogram(self, param=None):
        values = self._resolution().compressed()
        title, quantity, unit = self._histogramWords()
        plotter = EmPlotter(1, 1, mainTitle=title)
        axes = plotter.createSubPlot("", quantity, "# of voxels")
        axes.hist(values, bins=60, color="#31688e")
        median = float(np.median(values))
        axes.axvline(median, color="#d95f02", label=f"median {median:.2f} {unit}".rstrip())
        self._markHistogram(axes)
        axes.legend()
        return [plotter]

    def _histogramWords(self):
        """Return the title of the histogram, what its axis says, and the unit of the median."""
        return "Resolution histogram", "Resolution (Å)", "Å"

    def _markHistogram(self, axes):
        """Draw what the values are compared with."""
        overall = self._report()["summary"].get("global_resolution")
        if overall:
            axes.axvline(overall, color="black", linestyle="--", label=f"global {overall:.2f} Å")

    def _insteadOfChimera(self):
        return "The coloured slices", self._showColorSlices()

    # --------------------------- UTILS ----------------------------------------

    def _title(self):
        return "Local resolution (Å)"

    def _report(self):
        return self.protocol.readReport()

    def _resolutionFile(self):
        return getattr(self.protocol, self.protocol._resolutionOutput).getFileName()

    def _resolution(self):
        data, _, _, _ = self.getImgData(self._resolutionFile())
        return data

    def _limits(self):
        return self.lowest.get(), self.highest.get()

    def _slices(self, title, data, colours, low=None, high=None):
        plotter = EmPlotter(2, 2, mainTitle=title)
        length = data.shape["zyx".index(self.getEnumText("sliceAxis"))]
        for ninth in SHOWN:
            image = self._plotSlice(plotter, data, ninth * length // 9, colours, low, high)
        addColourBar(plotter, image)
        return plotter

    def _plotSlice(self, plotter, data, number, colours, low, high):
        axis = self.getEnumText("sliceAxis")
        axes = plotter.createSubPlot(f"{axis} = {number}", "", "")
        image = self.getSliceImage(data, number, axis)
        return plotter.plotMatrix(axes, image, low, high, cmap=colours, interpolation="nearest", origin="lower")
