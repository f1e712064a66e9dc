"""What the viewers of the engine's results share: folder, tables, slices of maps, ChimeraX, and the report."""

import csv
import os
import webbrowser

import numpy as np
from pwem.viewers import ChimeraView
from pwem.viewers.viewer_localres import chimeraInstalled, getChimeraError
from pyworkflow.viewer import MessageView, View

from cryores.mapio import read_map
from cryoresplugin.viewers.slices import plotSlices


class ReportView(View):
    """Opens the report in a folder of the engine in the browser; where there is none, says where the report is."""

    def __init__(self, folder, tkParent=None):
        self.path = os.path.abspath(os.path.join(folder, "report.html"))
        self._tkParent = tkParent

    def show(self):
        """Open it, or say where it is."""
        if not webbrowser.open("file://" + self.path):
            MessageView(f"Open {self.path} in a browser.", "No browser was found", tkParent=self._tkParent).show()


class ResultViewer:
    """Mixed into the viewer of a protocol: what the engine wrote into the folder of its result."""

    def visualize(self, obj, **windows):
        """Open the viewer; of a run without a result, say so."""
        if obj.hasResult():
            super().visualize(obj, **windows)
        else:
            window = windows.get("windows")  # a viewer with a form of its own has none before that is open
            said = "This run has no result to show yet. Its output log, below, says how far it is, or why it failed."
            MessageView(said, "No result yet", tkParent=window.root if window else self._tkRoot).show()

    def _folder(self):
        """Return the engine's folder of the result that is shown."""
        return self.protocol._resultFolder()

    def _map(self, name):
        """Return one of the engine's maps as an array."""
        return read_map(os.path.join(self._folder(), name)).data

    def _table(self, name, words=()):
        """Return column -> numbers of one of the engine's tables, NaN where a cell is empty, without those of words."""
        with open(os.path.join(self._folder(), name), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return {key: np.array([float(row[key] or "nan") for row in rows]) for key in rows[0] if key not in words}

    def _insideMask(self, shape):
        """Return where the result is, as booleans: the mask that was made or given, everything where there is none."""
        made = os.path.join(self._folder(), "mask.mrc")
        given = self.protocol._sources().get("mask")
        if not os.path.exists(made) and given is None:
            return np.ones(shape, dtype=bool)
        return read_map(made if os.path.exists(made) else self.protocol._plainName(given)).data > 0.5

    def _showReport(self, param=None):
        return [ReportView(self._folder(), self._tkRoot)]

    def _showChimera(self, param=None):
        if chimeraInstalled():
            return [ChimeraView(os.path.abspath(os.path.join(self._folder(), "view.cxc")))]
        said, views = self._insteadOfChimera()
        return [self.warnMessage(f"{getChimeraError()}\n\n{said} are shown instead.", "ChimeraX was not found"), *views]

    def _insteadOfChimera(self):
        """Return what is shown where there is no ChimeraX: what it is called, and its views."""
        raise NotImplementedError


class MapsViewer(ResultViewer):
    """Mixed into the viewer of a protocol whose form has a field for the slices of each map."""

    _maps = {}
    """Field -> file of the engine and title."""

    def _showSlices(self, param):
        name, title = self._maps[param]
        return [plotSlices(self._map(name), self.getEnumText("sliceAxis"), title)]
