"""MonoDir, with the fields and the outputs of XmippProtMonoDir."""

from pwem.objects import Volume, VolumeMask
from pyworkflow.protocol import params
from pyworkflow.protocol.constants import LEVEL_ADVANCED

from cryoresplugin.protocols.protocol_base import CryoresProtocol


class CryoresProtMonoDir(CryoresProtocol):
    """Local resolution along many directions, and how it differs between them.

    With one map the noise is taken from around the particle: leave room there, and neither mask nor denoise the map.
    With half maps it is known inside the particle.
    """

    _label = "directional resolution MonoDir"
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
        form.addParam("inputVolumes", params.PointerParam, pointerClass="Volume", label="Input Volume", important=True,
                      help="Raw, unmasked map.")  # fmt: skip
        form.addParam("useHalfMaps", params.BooleanParam, default=False,
                      label="Use the half maps stored with the volume?",
                      help="They tell the noise inside the particle: recommended.")  # fmt: skip
        form.addParam("Mask", params.PointerParam, pointerClass="VolumeMask", allowsNull=True, label="Binary Mask",
                      help="1 on the particle. Made from the map when not given.")  # fmt: skip
        form.addParam("significance", params.FloatParam, default=0.95, expertLevel=LEVEL_ADVANCED,
                      condition="not useHalfMaps", label="Significance",
                      help=self._helpOn("significance"))  # fmt: skip
        form.addParam("halvesSignificance", params.FloatParam, default=0.99, expertLevel=LEVEL_ADVANCED,
                      condition="useHalfMaps", label="Significance", help=self._helpOn("significance"))  # fmt: skip
        form.addParam("resstep", params.FloatParam, default=0.5, expertLevel=LEVEL_ADVANCED, label="Resolution Step",
                      help=self._helpOn("resolution_step"))  # fmt: skip
        form.addParam("fast", params.BooleanParam, default=False, label="Fast Computation", help=self._helpOn("fast"))
        form.addParam("isPremasked", params.BooleanParam, default=False, label="Is the original premasked?",
                      help="Yes: the map is 0 outside a sphere.")  # fmt: skip
        form.addParam("volumeRadius", params.FloatParam, default=-1, condition="isPremasked",
                      label="Spherical mask radius (px)", help="-1: half the box.")  # fmt: skip
        self._addEngineParams(form)
        self._addRunParams(form)

    def createOutputStep(self, words):
        """Register the maps, and the mask where the engine made one."""
        for output, name in self._files.items():
            self._defineVolume(output, name, Volume())
        if self.readReport()["mask_was_made"]:
            self._defineVolume("outputMask", "mask.mrc", VolumeMask())

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
