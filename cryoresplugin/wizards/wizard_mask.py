"""The threshold of a mask, chosen while its outline is seen on the map."""

import tkinter as tk

from matplotlib.backends.backend_tkagg import FigureCanvasTkAgg
from matplotlib.figure import Figure
from pwem.wizards import EmWizard
from pyworkflow.gui.dialog import Dialog

from cryores.errors import CryoresError
from cryores.mapio import read_half_maps, read_map
from cryoresplugin.protocols import CryoresProtMonoRes


def drawOutline(figure, density, mask, threshold):
    """Draw the central slices of a map (arrays z, y, x) with the outline of the mask at a threshold.

    Returns
    -------
    float
        The share of the box that is inside.
    """
    figure.clear()
    for place, axis in enumerate("zyx"):
        number = density.shape[place] // 2
        axes = figure.add_subplot(1, 3, place + 1, title=f"{axis} = {number}", xticks=[], yticks=[])
        axes.imshow(density.take(number, axis=place), cmap="gray", origin="lower")
        plane = mask.take(number, axis=place)
        if plane.min() < threshold < plane.max():
            axes.contour(plane, levels=[threshold], colors="#d95f02")
    return float((mask > threshold).mean())


class MaskThresholdDialog(Dialog):
    """A slider for the threshold under three slices of the map; ``threshold`` holds what was chosen."""

    def __init__(self, parent, density, mask, threshold):
        self._density, self._mask = density, mask
        self.threshold = tk.DoubleVar(parent, value=threshold)
        self._inside = tk.StringVar(parent)
        super().__init__(parent, "Threshold of the mask")

    def body(self, master):
        """Draw the slices, the slider, and how much is inside."""
        self.figure = Figure(figsize=(9, 3.4), tight_layout=True)
        self._canvas = FigureCanvasTkAgg(self.figure, master)
        self._canvas.get_tk_widget().grid(row=0, column=0, sticky="news")
        low, high = float(self._mask.min()), float(self._mask.max())
        tk.Scale(master, variable=self.threshold, from_=low, to=high, resolution=(high - low) / 100, length=600,
                 orient=tk.HORIZONTAL, label="Voxels above this are inside", command=self._redraw,
                 ).grid(row=1, column=0)  # fmt: skip
        tk.Label(master, textvariable=self._inside).grid(row=2, column=0)
        self._redraw()

    def _redraw(self, moved=None):
        share = drawOutline(self.figure, self._density, self._mask, self.threshold.get())
        self._inside.set(f"{100 * share:.1f} % of the box is inside")
        self._canvas.draw()


class CryoresMaskThresholdWizard(EmWizard):
    """Choose the threshold of the mask with a preview of its outline on the map."""

    _targets = [(CryoresProtMonoRes, ["maskThreshold"])]

    def show(self, form, *params):
        """Open the dialog, and set the field to what was chosen."""
        protocol = form.protocol
        missing = protocol._missingInputs() or protocol._gridErrors()
        if missing or protocol._conversions():
            form.showError("\n".join(missing) or "The wizard reads MRC and CCP4 files only.")
            return
        files = protocol._engineFiles()
        if "mask" not in files:
            form.showInfo("No mask is given. The one that is made is 0 or 1: its threshold changes nothing.")
            return
        try:
            density, mask = self._read(files, protocol._samplingRate())
        except CryoresError as error:
            form.showError(str(error))
            return
        dialog = MaskThresholdDialog(form.root, density.data, mask.data, protocol.maskThreshold.get())
        if dialog.resultYes():
            form.setVar("maskThreshold", round(dialog.threshold.get(), 3))

    @staticmethod
    def _read(files, sampling):
        halves = "half1" in files
        density = (
            read_half_maps(files["half1"], files["half2"], sampling).mean()
            if halves
            else read_map(files["map"], sampling)
        )
        return density, read_map(files["mask"], sampling)
