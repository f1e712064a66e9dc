"""Viewer of directional resolution: FSO with FSC, the directions, slices of the 3DFSC, the report."""

import numpy as np
from pwem.viewers import EmPlotter, EmProtocolViewer
from pyworkflow.protocol import params
from pyworkflow.viewer import DESKTOP_TKINTER

from cryoresplugin.protocols import CryoresProtFSO
from cryoresplugin.viewers.results import MapsViewer
from cryoresplugin.viewers.slices import addColourBar, addSliceAxis

CURVES = {"fsc": "FSC", "fso": "FSO", "fso_if_isotropic": "FSO, were it isotropic"}


class CryoresFSOViewer(MapsViewer, EmProtocolViewer):
    """FSO over the frequency, resolution over the directions, the 3DFSC and the filtered map."""

    _label = "viewer FSO"
    _targets = [CryoresProtFSO]
    _environments = [DESKTOP_TKINTER]
    _maps = {"doShow3DFSC": ("3dfsc.mrc", "3DFSC"), "doShowFiltered": ("filtered.mrc", "Filtered by direction")}

    def _defineParams(self, form):
        form.addSection(label="Visualization")
        form.addParam("doShowOccupancy", params.LabelParam, label="FSO and FSC")
        form.addParam("doShowDirections", params.LabelParam, label="Resolution of every direction, seen along z")
        form.addParam("doShowSphere", params.LabelParam, label="Resolution of every direction, on a sphere",
                      help="It turns with the mouse. Opposite directions have the same resolution.")  # fmt: skip
        if self.protocol.estimate3DFSC:
            addSliceAxis(form)
            form.addParam("doShow3DFSC", params.LabelParam, label="Slices of the 3DFSC")
            form.addParam("doShowFiltered", params.LabelParam, label="Slices of the filtered map")
            form.addParam("doShowChimera", params.LabelParam, label="The 3DFSC, in ChimeraX")
        form.addParam("doShowReport", params.LabelParam, label="Report, in a browser")

    def _getVisualizeDict(self):
        return {
            "doShowOccupancy": self._showOccupancy,
            "doShowDirections": self._showDirections,
            "doShowSphere": self._showSphere,
            **dict.fromkeys(self._maps, self._showSlices),
            "doShowChimera": self._showChimera,
            "doShowReport": self._showReport,
        }

    def _showOccupancy(self, param=None):
        plotter = EmPlotter(1, 1, mainTitle="Fourier shell occupancy")
        axes = plotter.createSubPlot("", "frequency (1/Å)", "FSC, share of directions")
        for name, (frequency, values) in self.protocol.readCurves().items():
            axes.plot(frequency, values, label=CURVES[name])
        axes.axhline(self.protocol.threshold.get(), color="gray", linestyle=":")
        axes.legend()
        return [plotter]

    def _showDirections(self, param=None):
        table = self._table("directions.csv")
        plotter = EmPlotter(1, 1, mainTitle="Resolution (Å) by direction: rot around, tilt outwards")
        axes = plotter.createSubPlot("", "", "", projection="polar")
        image = axes.scatter(np.radians(table["rot"]), table["tilt"], c=table["resolution"], cmap="viridis", s=60)
        addColourBar(plotter, image)
        return [plotter]

    def _showSphere(self, param=None):
        table = self._table("directions.csv")
        points = np.array([table[axis] for axis in "xyz"])
        plotter = EmPlotter(1, 1, mainTitle="Resolution (Å) by direction")
        axes = plotter.createSubPlot("", "x", "y", projection="3d")
        image = axes.scatter(
            *np.hstack([points, -points]), c=np.tile(table["resolution"], 2), cmap="viridis", s=60, depthshade=False
        )
        axes.set_zlabel("z")
        axes.set(xticks=[], yticks=[], zticks=[])
        axes.set_box_aspect((1, 1, 1))
        addColourBar(plotter, image)
        return [plotter]

    def _insteadOfChimera(self):
        return "The slices", self._showSlices("doShow3DFSC")
