"""Viewer of directional resolution: FSO with FSC, the directions, slices of the 3DFSC, the report."""

import csv
import os

import numpy as np
from pwem.viewers import ChimeraView, EmPlotter, EmProtocolViewer
from pwem.viewers.viewer_localres import chimeraInstalled, getChimeraError
from pyworkflow.protocol import params
from pyworkflow.viewer import DESKTOP_TKINTER

from cryores.mapio import read_map
from cryoresplugin.protocols import CryoresProtFSO
from cryoresplugin.viewers.slices import addColourBar, plotSlices
from cryoresplugin.viewers.viewer_localres import ReportView

MAPS = {"doShow3DFSC": ("3dfsc.mrc", "3DFSC"), "doShowFiltered": ("filtered.mrc", "Filtered by direction")}


class CryoresFSOViewer(EmProtocolViewer):
    """FSO over the frequency, resolution over the directions, the 3DFSC and the filtered map."""

    _label = "viewer FSO"
    _targets = [CryoresProtFSO]
    _environments = [DESKTOP_TKINTER]

    def _defineParams(self, form):
        form.addSection(label="Visualization")
        form.addParam("doShowOccupancy", params.LabelParam, label="Show FSO and FSC")
        form.addParam("doShowDirections", params.LabelParam, label="Show the resolution of every direction")
        if self.protocol.estimate3DFSC:
            form.addParam("sliceAxis", params.EnumParam, default=2, choices=["x", "y", "z"],
                          display=params.EnumParam.DISPLAY_HLIST, label="Slice axis")  # fmt: skip
            form.addParam("doShow3DFSC", params.LabelParam, label="Show slices of the 3DFSC")
            form.addParam("doShowFiltered", params.LabelParam, label="Show slices of the filtered map")
            form.addParam("doShowChimera", params.LabelParam, label="Show the 3DFSC in ChimeraX")
        form.addParam("doShowReport", params.LabelParam, label="Open the report in a browser")

    def _getVisualizeDict(self):
        return {
            "doShowOccupancy": self._showOccupancy,
            "doShowDirections": self._showDirections,
            **dict.fromkeys(MAPS, self._showSlices),
            "doShowChimera": self._showChimera,
            "doShowReport": self._showReport,
        }

    def _showOccupancy(self, param=None):
        plotter = EmPlotter(1, 1, mainTitle="Fourier shell occupancy")
        axes = plotter.createSubPlot("", "frequency (1/Å)", "FSC, share of directions")
        for name, (frequency, values) in self.protocol.readCurves().items():
            axes.plot(frequency, values, label=name)
        axes.axhline(self.protocol.threshold.get(), color="gray", linestyle=":")
        axes.legend()
        return [plotter]

    def _showDirections(self, param=None):
        with open(os.path.join(self.protocol._resultFolder(), "directions.csv"), encoding="utf-8") as file:
            rows = [{name: float(word or "nan") for name, word in row.items()} for row in csv.DictReader(file)]
        rot, tilt, resolution = (np.array([row[name] for row in rows]) for name in ("rot", "tilt", "resolution"))
        plotter = EmPlotter(1, 1, mainTitle="Resolution (Å) by direction: rot around, tilt outwards")
        axes = plotter.createSubPlot("", "", "", projection="polar")
        image = axes.scatter(np.radians(rot), tilt, c=resolution, cmap="viridis", s=60)
        addColourBar(plotter, image)
        return [plotter]

    def _showSlices(self, param):
        name, title = MAPS[param]
        data = read_map(os.path.join(self.protocol._resultFolder(), name)).data
        return [plotSlices(data, self.getEnumText("sliceAxis"), title)]

    def _showChimera(self, param=None):
        if chimeraInstalled():
            return [ChimeraView(os.path.abspath(os.path.join(self.protocol._resultFolder(), "view.cxc")))]
        message = f"{getChimeraError()}\n\nThe slices are shown instead."
        return [self.warnMessage(message, "ChimeraX was not found"), *self._showSlices("doShow3DFSC")]

    def _showReport(self, param=None):
        return [ReportView(self.protocol, self._tkRoot)]
