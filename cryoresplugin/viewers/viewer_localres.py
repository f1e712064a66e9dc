"""Local-resolution viewer: histograms, slices, surface, ChimeraX and the report, without xmipp3 or Java."""

import os

import numpy as np
from pwem.viewers import EmPlotter, LocalResolutionViewer
from pwem.wizards import ColorScaleWizardBase
from pyworkflow.protocol import params
from pyworkflow.viewer import DESKTOP_TKINTER

from cryores.mapio import read_map
from cryores.report import views
from cryoresplugin.protocols import (
    CryoresProtBlocres,
    CryoresProtBlocresShells,
    CryoresProtDeepRes,
    CryoresProtLocres,
    CryoresProtMonoRes,
    CryoresProtRelionLocres,
    CryoresProtResMap,
)
from cryoresplugin.viewers import surface
from cryoresplugin.viewers.histograms import plotOverlaid
from cryoresplugin.viewers.results import ResultViewer
from cryoresplugin.viewers.slices import SHOWN, addColourBar, addSliceAxis, plotWithSlider


class CryoresLocalResolutionViewer(ResultViewer, LocalResolutionViewer):
    """Histogram, slices and coloured surface of a local-resolution map; the histograms of other methods with it."""

    _label = "viewer local resolution"
    _targets = [
        CryoresProtLocres,
        CryoresProtMonoRes,
        CryoresProtBlocres,
        CryoresProtBlocresShells,
        CryoresProtResMap,
        CryoresProtRelionLocres,
        CryoresProtDeepRes,
    ]
    _environments = [DESKTOP_TKINTER]
    _shown = "resolution"

    _comparable = True
    """Whether histograms of other methods on the same input can be laid over this one."""
    _hasSurface = True
    """Whether what is coloured is a body with a surface."""

    def _defineParams(self, form):
        summary = self._report()["summary"]
        form.addSection(label="Visualization")
        self._defineChoice(form)
        form.addParam("told", params.LabelParam, label=self._told(summary), help=self._report()["criterion"])
        form.addParam("doShowResHistogram", params.LabelParam, label="Histogram",
                      help="With the median, and 5 and 95 % of the voxels.")  # fmt: skip
        if self._comparable:
            form.addParam("doShowOverlaid", params.LabelParam, label="Histograms of all methods on this input",
                          help="Of every finished run of this project that started from the same maps.")  # fmt: skip
        form.addParam("doShowVolumeSlices", params.LabelParam, label=f"Slices of the {self._shown}")
        form.addParam("doShowOriginalVolumeSlices", params.LabelParam, label="Slices of the map")
        form.addParam("doShowReport", params.LabelParam, label="Report, in a browser")
        group = form.addGroup("In colours")
        addSliceAxis(group)
        group.addParam("doShowVolumeColorSlices", params.LabelParam, label="Four coloured slices")
        group.addParam("doShowSlider", params.LabelParam, label="All coloured slices, with a slider")
        group.addParam("doShowOneColorslice", params.LabelParam, expertLevel=params.LEVEL_ADVANCED,
                       label="The slice of this number")  # fmt: skip
        group.addParam("sliceNumber", params.IntParam, default=-1, expertLevel=params.LEVEL_ADVANCED,
                       label="Number of the slice", help="-1: the central one.")  # fmt: skip
        if self._hasSurface:
            group.addParam("doShowSurface", params.LabelParam, label="Coloured surface, without ChimeraX",
                           help="It turns with the mouse. The report has a finer one.")  # fmt: skip
        group.addParam("doShowChimera", params.LabelParam, label="Coloured surface, in ChimeraX")
        ColorScaleWizardBase.defineColorScaleParams(
            group,
            defaultLowest=round(summary.get("p5", 0.0), 1),
            defaultHighest=round(summary.get("p95", 1.0), 1),
            defaultColorMap="viridis",
        )

    @staticmethod
    def _told(summary):
        if "median" not in summary:
            return "No voxel has a value"
        unit = summary["unit"]
        return (
            f"Median {summary['median']:.2f} {unit}".rstrip()
            + f"; 5 to 95 % of voxels: {summary['p5']:.2f} to {summary['p95']:.2f} {unit}".rstrip()
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
            "doShowOverlaid": self._showOverlaid,
            "doShowReport": self._showReport,
            "doShowVolumeColorSlices": self._showColorSlices,
            "doShowSlider": self._showSlider,
            "doShowOneColorslice": self._showOneSlice,
            "doShowSurface": self._showSurface,
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
        addColourBar(plotter, self._plotSlice(plotter, data, number, self._getColorName(), *self._limits()))
        return [plotter]

    def _showSlider(self, param=None):
        data, axis = self._resolution(), self.getEnumText("sliceAxis")
        return [plotWithSlider(data, axis, self._title(), self._limits(), self._getColorName())]

    def _showSurface(self, param=None):
        density = read_map(os.path.join(self._folder(), "map.mrc"))
        values = self._resolution()
        inside = self._insideMask(density.grid.shape)
        filled = views.filled_outwards(density.like(np.ma.filled(values.astype(np.float32), np.nan)))
        found = surface.traced(density, filled, inside)
        if found is None:
            return [self.infoMessage("The map has no surface inside the mask.", "No surface")]
        return [surface.plotSurface(found, self._title(), self._limits(), self._getColorName())]

    def _showOverlaid(self, param=None):
        shown = {self._nameInPlots(self.protocol): self._resolution().compressed()}
        for run in self._othersOnTheSameInput():
            data, _, _, _ = self.getImgData(getattr(run, run._resolutionOutput).getFileName())
            shown[self._nameInPlots(run)] = data.compressed()
        labelled = {f"{name}, median {np.median(one):.2f} Å": one for name, one in shown.items() if one.size}
        return [plotOverlaid("Local resolution by all methods", "Resolution (Å)", labelled)]

    def _othersOnTheSameInput(self):
        """Return the other finished runs of the project that measured the local resolution of the same maps."""
        kinds = tuple(CryoresLocalResolutionViewer._targets)
        runs = [run for run in self.getProject().getRuns() if isinstance(run, kinds) and run.isFinished()]
        mine = self._inputFile(self.protocol)
        return [
            run
            for run in runs
            if run.getObjId() != self.protocol.getObjId()
            and run.hasAttribute(run._resolutionOutput)
            and mine is not None
            and self._inputFile(run) == mine
        ]

    @staticmethod
    def _inputFile(run):
        """Return the file of the map that a run started from; None where it was deleted since."""
        given = run._referencePointer().get()
        return None if given is None else given.getFileName()

    @staticmethod
    def _nameInPlots(run):
        return f"{run.getObjLabel() or run._label} ({run.getObjId()})"

    def _showHistogram(self, param=None):
        values = self._resolution().compressed()
        title, quantity, unit = self._histogramWords()
        plotter = EmPlotter(1, 1, mainTitle=title)
        axes = plotter.createSubPlot("", quantity, "# of voxels")
        axes.hist(values, bins=60, color="#31688e")
        median = float(np.median(values))
        axes.axvline(median, color="#d95f02", label=f"median {median:.2f} {unit}".rstrip())
        for share in (5, 95):
            axes.axvline(np.percentile(values, share), color="#7570b3", linestyle=":")
        axes.plot([], [], color="#7570b3", linestyle=":", label="5 and 95 % of the voxels")
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
        # Not the output's: the desktop learns of that some time after the run has ended.
        return os.path.join(self._folder(), "resolution.mrc")

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
