"""MonoDir viewer: slices and histogram of each map, preferred directions, radial averages."""

import os

import numpy as np
from pwem.viewers import EmPlotter
from pyworkflow.protocol import params

from cryoresplugin.protocols import CryoresProtMonoDir
from cryoresplugin.viewers.viewer_localres import CryoresLocalResolutionViewer

TITLES = {
    "doa": "Degree of anisotropy (Å)",
    "highest": "Highest resolution (Å)",
    "lowest": "Lowest resolution (Å)",
    "mean": "Middle of highest and lowest resolution (Å)",
    "radial": "Radial resolution (Å)",
    "tangential": "Tangential resolution (Å)",
    "zscore": "z-score in the shell",
}
OF_OTHER_RANGE = ("doa", "zscore")
"""Maps that are no resolutions: the colour limits of the form are not theirs."""

AVERAGES = ("radial", "tangential", "highest", "lowest")


class CryoresMonoDirViewer(CryoresLocalResolutionViewer):
    """Slices, histogram and coloured surface of the maps, preferred directions on a polar map, radial averages."""

    _label = "viewer MonoDir"
    _targets = [CryoresProtMonoDir]
    _comparable = False

    def _defineParams(self, form):
        super()._defineParams(form)
        group = form.addGroup("Directions")
        group.addParam("doShowDirections", params.LabelParam, label="Preferred directions (polar)")
        group.addParam("doShowPreferred", params.LabelParam, label="Histogram of preferred directions")
        group.addParam("doShowRadial", params.LabelParam, label="Radial averages")

    def _defineChoice(self, form):
        form.addParam("shownMap", params.EnumParam, default=0, choices=list(TITLES), label="Map",
                      help="Of all entries below but the last three. doa is the degree of anisotropy.")  # fmt: skip

    def _getVisualizeDict(self):
        return {
            **super()._getVisualizeDict(),
            "doShowDirections": self._showDirections,
            "doShowPreferred": self._showPreferred,
            "doShowRadial": self._showRadial,
        }

    def _showDirections(self, param=None):
        table = self._table("directions.csv")
        plotter = EmPlotter(1, 1, mainTitle="Voxels that prefer each direction (centre: z)")
        axes = plotter.getFigure().add_subplot(111, projection="polar")
        longitude, tilt = np.radians(table["rotation_deg"]), table["tilt_deg"]
        drawn = axes.scatter(longitude, tilt, c=table["preferring_voxels"], s=250, cmap="viridis")
        axes.set_ylim(0, 95)
        axes.set_xticks(np.radians([0, 90, 180, 270]), ["x", "y", "-x", "-y"])
        plotter.getFigure().colorbar(drawn, ax=axes, pad=0.1)
        return [plotter]

    def _showPreferred(self, param=None):
        count = self._table("directions.csv")["preferring_voxels"]
        plotter = EmPlotter(1, 1, mainTitle="Preferred directions")
        axes = plotter.createSubPlot("", "Direction", "# of voxels that prefer it")
        axes.bar(np.arange(1, len(count) + 1), count, color="#31688e")
        axes.axhline(np.mean(count), color="#d95f02", linestyle="--", label="no direction preferred")
        axes.legend()
        return [plotter]

    def _showRadial(self, param=None):
        table = self._table("radial.csv")
        slopes = self._report()["summary"]["slopes"]
        plotter = EmPlotter(1, 1, mainTitle="Averages over the radius")
        axes = plotter.createSubPlot("", "Distance from the centre (Å)", "Mean resolution (Å)")
        for name in AVERAGES:
            label = f"{name}, slope {slopes[name]['slope']:.3f}" if name in slopes else name
            axes.plot(table["radius_A"], table[f"{name}_A"], label=label)
        axes.legend()
        return [plotter]

    def _histogramWords(self):
        return self._title(), self._title(), "" if self.getEnumText("shownMap") == "zscore" else "Å"

    def _markHistogram(self, axes):
        if self.getEnumText("shownMap") not in OF_OTHER_RANGE:
            super()._markHistogram(axes)

    # --------------------------- UTILS ----------------------------------------

    def _title(self):
        return TITLES[self.getEnumText("shownMap")]

    def _resolutionFile(self):
        return os.path.join(self._folder(), f"{self.getEnumText('shownMap')}.mrc")

    def _resolution(self):
        if self.getEnumText("shownMap") not in OF_OTHER_RANGE:
            return super()._resolution()
        # Values may be negative here: only 0 is none.
        return np.ma.masked_equal(self._map(f"{self.getEnumText('shownMap')}.mrc"), 0)

    def _limits(self):
        if self.getEnumText("shownMap") not in OF_OTHER_RANGE:
            return super()._limits()
        return tuple(np.percentile(self._resolution().compressed(), (5, 95)))
