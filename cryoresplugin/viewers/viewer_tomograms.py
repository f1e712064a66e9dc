"""Viewer of the local resolution of a set of tomograms: that of maps, for the tomogram that is chosen."""

from pyworkflow.protocol import params

from cryoresplugin.protocols import CryoresProtMonoTomo
from cryoresplugin.viewers.viewer_localres import CryoresLocalResolutionViewer


class CryoresTomogramsViewer(CryoresLocalResolutionViewer):
    """Slices, histogram and coloured surface of one tomogram of the set."""

    _label = "viewer local resolution of tomograms"
    _targets = [CryoresProtMonoTomo]
    _comparable = False
    _hasSurface = False

    def _defineChoice(self, form):
        form.addParam("tomogram", params.EnumParam, choices=self.protocol.finishedNames(), default=0, label="Tomogram")

    def _folder(self):
        return self.protocol.resultFolderOf(self._name())

    def _report(self):
        return self.protocol.readReportOf(self._name())

    def _name(self):
        # The form asks for the limits of the colours before the field is there.
        return self.protocol.finishedNames()[self.tomogram.get() if hasattr(self, "tomogram") else 0]
