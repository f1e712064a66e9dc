"""MonoDir, with the fields and the outputs of XmippProtMonoDir."""

from pwem.objects import Volume, VolumeMask
from pyworkflow.protocol import params
from pyworkflow.protocol.constants import LEVEL_ADVANCED

from cryoresplugin.protocols.fields import LABELS, addMap, addUseHalves
from cryoresplugin.protocols.protocol_base import CryoresProtocol


class CryoresProtMonoDir(CryoresProtocol):
    """Local resolution along many directions, and how it differs between them.

    When it lies: with one map the noise is taken from around the particle, so that a masked or denoised map misleads;
    half maps know it inside. Single voxels scatter over the directions: compare with a map that is even, not with zero.
    """

    _label = "MonoDir"
    _method = "monodir"
    _possibleOutputs = {
        "outputVolume_doa": Volume,
        "azimuthalVolume": Volume,
        "radialVolume": Volume,
        "resolution_Volume": Volume,
        "outputMask": VolumeMask,
    }
    _files = {
        "outputVolume_doa": "doa.mrc",
        "azimuthalVolume": "tangential.mrc",
        "radialVolume": "radial.mrc",
        "resolution_Volume": "highest.mrc",
    }
    _fields = {"resolution_step": "resstep", "map_radius": "volumeRadius"}

    def _defineParams(self, form):
        form.addSection(label="Input")
        addMap(
            form, "inputVolumes", "As the refinement wrote it: with room around the particle, not masked or denoised."
        )
        addUseHalves(form, "useHalfMaps", "Those stored with the map tell the noise inside the particle.")
        self._addMask(form, "Mask", "The particle.")
        form.addParam("significance", params.FloatParam, default=0.95, expertLevel=LEVEL_ADVANCED,
                      condition="not useHalfMaps", label="Significance",
                      help=self._helpOn("significance"))  # fmt: skip
        form.addParam("halvesSignificance", params.FloatParam, default=0.99, expertLevel=LEVEL_ADVANCED,
                      condition="useHalfMaps", label="Significance", help=self._helpOn("significance"))  # fmt: skip
        form.addParam("fast", params.BooleanParam, default=False, label=LABELS["fast"], help=self._helpOn("fast"))
        form.addParam("isPremasked", params.BooleanParam, default=False, label="Is the map masked by a sphere?",
                      help="Yes: it is 0 outside. Better: give the map as it was before.")  # fmt: skip
        form.addParam("volumeRadius", params.FloatParam, default=-1, condition="isPremasked",
                      label="Radius of that sphere (voxels)", help="-1: half the box.")  # fmt: skip
        self._addEngineParams(form)
        self._addRunParams(form)

    def createOutputStep(self, words):
        """Register the maps, and the mask where the engine made one."""
        for output, name in self._files.items():
            self._defineVolume(output, name, Volume())
        self._defineMadeMask()

    def _summaryOf(self, report):
        summary = report["summary"]
        lines = [report["criterion"]]
        if "median" not in summary:
            return [*lines, "No voxel could be given a resolution."]
        medians = summary["resolution"]
        worst = ", ".join(f"{value:.2f}" for value in reversed(summary["worst_axis"]))
        slopes = summary["slopes"]
        return [
            *lines,
            f"Median anisotropy {medians['doa']:.2f} Å",
            f"Median of the highest resolution {medians['highest']:.2f} Å, of the lowest {medians['lowest']:.2f} Å",
            f"Worst along (x, y, z) = ({worst})",
            f"Slopes over the radius: radial {slopes['radial']['slope']:.3f}, "
            f"tangential {slopes['tangential']['slope']:.3f} Å per Å",
        ]

    # --------------------------- INPUTS ---------------------------------------

    def _halvesFields(self):
        return True, self.inputVolumes, None, None

    def _sources(self):
        maps = self._attachedOrPaired(*self._halvesFields()) if self.useHalfMaps else {"map": self.inputVolumes.get()}
        return {**maps, **self._given(mask=self.Mask)}

    def _referencePointer(self):
        return self.inputVolumes

    def _missingInputs(self):
        if self.inputVolumes.get() is None:
            return ["Give the input volume."]
        return self._missingHalves(*self._halvesFields()) if self.useHalfMaps else []

    def _translated(self):
        values = {"map_radius": None}
        if self.useHalfMaps:
            values["significance"] = self.halvesSignificance.get()
        volume = self.inputVolumes.get()
        if self.isPremasked and volume is not None:
            radius = self.volumeRadius.get()
            voxels = radius if radius > 0 else volume.getDim()[0] / 2
            values["map_radius"] = voxels * volume.getSamplingRate()
        return values
