"""Viewer of processed maps: slices before and after, their difference, ChimeraX, and the report with the spectra."""

import os

from pwem.viewers import EmProtocolViewer
from pyworkflow.protocol import params
from pyworkflow.viewer import DESKTOP_TKINTER

from cryoresplugin.protocols.protocol_postprocessing_base import CryoresPostprocessing
from cryoresplugin.viewers.results import MapsViewer
from cryoresplugin.viewers.slices import addSliceAxis


class CryoresPostprocessingViewer(MapsViewer, EmProtocolViewer):
    """Slices of the map before and after, and of the difference; surfaces side by side; the report."""

    _label = "viewer post-processing"
    _targets = [CryoresPostprocessing]
    _environments = [DESKTOP_TKINTER]
    _maps = {
        "doShowBefore": ("map.mrc", "Before"),
        "doShowAfter": ("sharpened.mrc", "After"),
        "doShowDifference": ("difference.mrc", "Difference (standard deviations)"),
        "doShowConfidence": ("confidence.mrc", "Confidence (0 to 1)"),
    }

    def _defineParams(self, form):
        form.addSection(label="Visualization")
        addSliceAxis(form)
        form.addParam("doShowBefore", params.LabelParam, label="Show slices of the input")
        form.addParam("doShowAfter", params.LabelParam, label="Show slices of the processed map")
        form.addParam("doShowDifference", params.LabelParam, label="Show slices of the difference")
        confidence = os.path.isfile(os.path.join(self._folder(), "confidence.mrc"))
        if confidence:
            form.addParam("doShowConfidence", params.LabelParam, label="Show slices of the confidence")
        coloured = ", the second coloured by confidence" if confidence else ""
        form.addParam("doShowChimera", params.LabelParam, label=f"Show both maps in ChimeraX{coloured}")
        form.addParam("doShowReport", params.LabelParam, label="Open the report in a browser")

    def _getVisualizeDict(self):
        slices = dict.fromkeys(self._maps, self._showSlices)
        return {**slices, "doShowChimera": self._showChimera, "doShowReport": self._showReport}

    def _insteadOfChimera(self):
        return "The slices", self._showSlices("doShowAfter")
