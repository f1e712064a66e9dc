"""Viewer of processed maps: slices before and after, their difference, ChimeraX, and the report with the spectra."""

import os

from pwem.viewers import ChimeraView, EmProtocolViewer
from pwem.viewers.viewer_localres import chimeraInstalled, getChimeraError
from pyworkflow.protocol import params
from pyworkflow.viewer import DESKTOP_TKINTER

from cryores.mapio import read_map
from cryoresplugin.protocols.protocol_postprocessing_base import CryoresPostprocessing
from cryoresplugin.viewers.slices import plotSlices
from cryoresplugin.viewers.viewer_localres import ReportView

MAPS = {
    "doShowBefore": ("map.mrc", "Before"),
    "doShowAfter": ("sharpened.mrc", "After"),
    "doShowDifference": ("difference.mrc", "Difference (standard deviations)"),
}


class CryoresPostprocessingViewer(EmProtocolViewer):
    """Slices of the map before and after, and of the difference; surfaces side by side; the report."""

    _label = "viewer post-processing"
    _targets = [CryoresPostprocessing]
    _environments = [DESKTOP_TKINTER]

    def _defineParams(self, form):
        form.addSection(label="Visualization")
        form.addParam("sliceAxis", params.EnumParam, default=2, choices=["x", "y", "z"],
                      display=params.EnumParam.DISPLAY_HLIST, label="Slice axis")  # fmt: skip
        form.addParam("doShowBefore", params.LabelParam, label="Show slices of the input")
        form.addParam("doShowAfter", params.LabelParam, label="Show slices of the processed map")
        form.addParam("doShowDifference", params.LabelParam, label="Show slices of the difference")
        form.addParam("doShowChimera", params.LabelParam, label="Show both maps in ChimeraX")
        form.addParam("doShowReport", params.LabelParam, label="Open the report in a browser")

    def _getVisualizeDict(self):
        slices = dict.fromkeys(MAPS, self._showSlices)
        return {**slices, "doShowChimera": self._showChimera, "doShowReport": self._showReport}

    def _showSlices(self, param):
        name, title = MAPS[param]
        data = read_map(os.path.join(self.protocol._resultFolder(), name)).data
        return [plotSlices(data, self.getEnumText("sliceAxis"), title)]

    def _showChimera(self, param=None):
        if chimeraInstalled():
            return [ChimeraView(os.path.abspath(os.path.join(self.protocol._resultFolder(), "view.cxc")))]
        message = f"{getChimeraError()}\n\nThe slices are shown instead."
        return [self.warnMessage(message, "ChimeraX was not found"), *self._showSlices("doShowAfter")]

    def _showReport(self, param=None):
        return [ReportView(self.protocol, self._tkRoot)]
