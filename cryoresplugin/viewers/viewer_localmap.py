"""Viewer of a number for every voxel that is no resolution: B-factor, occupancy."""

import os

import numpy as np
from pwem.viewers import EmPlotter

from cryores.mapio import read_map
from cryoresplugin.protocols import CryoresProtLocBFactor, CryoresProtLocOccupancy
from cryoresplugin.viewers.viewer_localres import CryoresLocalResolutionViewer


class CryoresLocalMapViewer(CryoresLocalResolutionViewer):
    """Slices, histogram and coloured surface, as of a local resolution."""

    _label = "viewer local map"
    _targets = [CryoresProtLocBFactor, CryoresProtLocOccupancy]
    _shown = "value"

    def _title(self):
        return f"{self.protocol._label} {self._unit()}".strip()

    def _unit(self):
        unit = self.protocol.readReport()["summary"]["unit"]
        return f"({unit})" if unit else ""

    def _showHistogram(self, param=None):
        values = self._resolution().compressed()
        plotter = EmPlotter(1, 1, mainTitle=self._title())
        axes = plotter.createSubPlot("", self._unit(), "# of voxels")
        axes.hist(values, bins=60, color="#31688e")
        median = float(np.median(values))
        axes.axvline(median, color="#d95f02", label=f"median {median:.2f}")
        axes.legend()
        return [plotter]

    def _resolution(self):
        # 0 is a value here as any other: the mask tells what is outside.
        folder = self.protocol._resultFolder()
        made, given = os.path.join(folder, "mask.mrc"), self.protocol.mask.get()
        inside = read_map(made if given is None else given.getFileName()).data > 0.5
        shown = read_map(os.path.join(folder, next(iter(self.protocol._localOutputs.values())))).data
        return np.ma.masked_where(~inside, shown)
