"""Viewer of a number for every voxel that is no resolution: B-factor, occupancy."""

import numpy as np

from cryoresplugin.protocols import CryoresProtLocBFactor, CryoresProtLocOccupancy
from cryoresplugin.viewers.viewer_localres import CryoresLocalResolutionViewer


class CryoresLocalMapViewer(CryoresLocalResolutionViewer):
    """Slices, histogram and coloured surface, as of a local resolution."""

    _label = "viewer local map"
    _targets = [CryoresProtLocBFactor, CryoresProtLocOccupancy]
    _shown = "value"
    _comparable = False

    def _title(self):
        return f"{self.protocol._label} {self._unit()}".strip()

    def _unit(self):
        unit = self.protocol.readReport()["summary"]["unit"]
        return f"({unit})" if unit else ""

    def _histogramWords(self):
        return self._title(), self._unit(), ""

    def _markHistogram(self, axes):
        """Draw nothing: there is no such value of the whole map."""

    def _resolution(self):
        # 0 is a value here as any other: the mask tells what is outside.
        data = self._map(next(iter(self.protocol._localOutputs.values())))
        return np.ma.masked_where(~self._insideMask(data.shape), data)
