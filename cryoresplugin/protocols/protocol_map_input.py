"""Half maps or one map, and a mask: the input of the protocols that have no predecessor."""

from pwem.objects import Volume
from pyworkflow.protocol import params

from cryoresplugin.protocols.fields import addHalfMaps, addMap
from cryoresplugin.protocols.protocol_base import CryoresProtocol

WITH_HALVES, TWO_HALVES, ONE_MAP = range(3)


class CryoresMapInput(CryoresProtocol):
    """Base of the new protocols: half maps or one map, a mask, and the engine's parameters."""

    _mapIs = "As the refinement wrote it: not sharpened or masked."
    """What the input volume is to be."""

    def _defineParams(self, form):
        form.addSection(label="Input")
        form.addParam(
            "inputType", params.EnumParam, choices=["Volume with half maps", "Two half maps", "One map"],
            default=WITH_HALVES, label="Input",
            help="Half maps are better: they tell the noise, and where the signal ends.",
        )  # fmt: skip
        addMap(form, "inputVolume", f"{self._mapIs} With its half maps attached, unless the input is one map.",
               condition=f"inputType!={TWO_HALVES}", label="Input volume")  # fmt: skip
        addHalfMaps(form, ("inputHalf1", "inputHalf2"), condition=f"inputType=={TWO_HALVES}")
        self._addMask(form, "mask", "Tight around the molecule.")
        self._addFurtherInputs(form)
        self._addEngineParams(form)
        self._addRunParams(form)

    def _addFurtherInputs(self, form):
        """Add what the method takes beside the maps and the mask."""

    def _halvesFields(self):
        return self.inputType.get() == WITH_HALVES, self.inputVolume, self.inputHalf1, self.inputHalf2

    def _sources(self):
        single = self.inputType.get() == ONE_MAP
        maps = {"map": self.inputVolume.get()} if single else self._attachedOrPaired(*self._halvesFields())
        return {**maps, **self._given(mask=self.mask)}

    def _referencePointer(self):
        return self.inputHalf1 if self.inputType.get() == TWO_HALVES else self.inputVolume

    def _missingInputs(self):
        if self.inputType.get() == ONE_MAP:
            return [] if self.inputVolume.get() is not None else ["Give the input volume."]
        return self._missingHalves(*self._halvesFields())


class CryoresLocalMap(CryoresMapInput):
    """Base of the protocols whose result is a number for every voxel, other than a resolution."""

    _localOutputs = {}
    """Name of the output -> file of the engine; the first is what the viewer shows."""

    def createOutputStep(self, words):
        """Register the maps, and the mask where the engine made one."""
        for name, file in self._localOutputs.items():
            self._defineVolume(name, file, Volume())
        self._defineMadeMask()

    def _summaryOf(self, report):
        summary = report["summary"]
        if "median" not in summary:
            return [report["criterion"], "No voxel could be given a value."]
        return [
            report["criterion"],
            f"Median {summary['median']:.2f} {summary['unit']}, 5 to 95 % of voxels {summary['p5']:.2f} to "
            f"{summary['p95']:.2f} {summary['unit']}".strip(),
        ]
