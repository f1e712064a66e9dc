"""The wizard of DeepEMhancer's noise statistics: what the published rule finds, and a picture of where."""

import os
import tempfile
import tkinter

from pyworkflow.gui import dialog
from pyworkflow.wizard import Wizard

from cryores.errors import CryoresError
from cryores.mapio import read_map
from cryores.nets.enhancer_input import noise_or_outside, statistics_of
from cryores.report.figures_noise import noise_figure
from cryores.volume import HalfMaps
from cryoresplugin.protocols import CryoresProtDeepEMhancer


class CryoresNoiseStatisticsWizard(Wizard):
    """Measure mean and standard deviation of the noise, and show the region that they come from."""

    _targets = [(CryoresProtDeepEMhancer, ["noiseMean", "noiseStd"])]

    def show(self, form, *params):
        """Ask whether to take what was found."""
        picture = os.path.join(tempfile.mkdtemp(prefix="cryores-"), "noise.png")
        try:
            found = self.measure(form.protocol, picture)
        except CryoresError as error:
            dialog.showError("Noise statistics", f"{error.message}: {error.hint}", form.root)
            return
        if NoiseDialog(form.root, picture, found).resultYes():
            form.setVar("noiseMean", found.mean)
            form.setVar("noiseStd", found.deviation)

    @staticmethod
    def measure(protocol, picture):
        """Return the statistics of the noise of the protocol's map, and write the picture of its region."""
        maps = protocol._sources()
        files = [maps[role].getFileName().replace(":mrc", "") for role in ("map", "half1", "half2") if role in maps]
        volumes = [read_map(name) for name in files]
        volume = volumes[0] if len(volumes) == 1 else HalfMaps(*volumes).mean()
        region, where = noise_or_outside(volume)
        found = statistics_of(volume.data, region)
        title = f"Noise {where}, in colour: mean {found.mean:.4g}, standard deviation {found.deviation:.4g}"
        noise_figure(volume, region, title).savefig(picture, dpi=100)
        return found


class NoiseDialog(dialog.Dialog):
    """The picture, and whether its numbers are to be taken."""

    def __init__(self, parent, picture, found):
        self._picture, self._found = picture, found
        super().__init__(parent, "Noise statistics", buttons=[("Take them", dialog.RESULT_YES), ("Cancel", 1)])

    def body(self, frame):
        """Show the picture; red is the region."""
        self._image = tkinter.PhotoImage(file=self._picture)
        tkinter.Label(frame, image=self._image).grid(row=0, column=0)
