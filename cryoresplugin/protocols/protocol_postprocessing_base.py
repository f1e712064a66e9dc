"""What the post-processing protocols share: their output, and what they say of it."""

from pwem.objects import Volume, VolumeMask
from pyworkflow.protocol import params

from cryoresplugin.protocols.fields import addNoValue
from cryoresplugin.protocols.protocol_base import CryoresProtocol
from cryoresplugin.protocols.protocol_map_input import CryoresMapInput


class CryoresPostprocessing(CryoresProtocol):
    """Base of the protocols that make a map easier to read."""

    _possibleOutputs = {"outputVolume": Volume, "outputMask": VolumeMask}
    _processedOutput = "outputVolume"
    """Name of the output that is the processed map."""

    def _addKeepParam(self, form):
        form.addParam(
            "keep", params.PointerParam, pointerClass="Volume", allowsNull=True, expertLevel=params.LEVEL_ADVANCED,
            label="Region to keep",
            help="A mask: above 0.5 the density stays as it is. For ligands, glycans or lipids that would be lost.",
        )  # fmt: skip

    def createOutputStep(self, words):
        """Register the processed map, and the mask where the engine made one."""
        self._defineVolume(self._processedOutput, "sharpened.mrc", Volume())
        self._defineMadeMask()

    def _summaryOf(self, report):
        summary = report["summary"]
        lines = [report["criterion"], f"Correlation with the input: {summary['correlation_with_input']:.3f}"]
        for word in ("went", "came"):
            blobs = summary[f"density_that_{word}"]
            if blobs:
                lines.append(
                    f"Density that {word}: {len(blobs)} blobs, the largest of {blobs[0]['volume']:.0f} Å^3 at "
                    f"({', '.join(f'{p:.1f}' for p in blobs[0]['position'])}) Å"
                )
        return lines


class CryoresMapProcessing(CryoresMapInput, CryoresPostprocessing):
    """Base of the new protocols that change a map: with a region to keep."""

    def _addFurtherInputs(self, form):
        self._addKeepParam(form)

    def _sources(self):
        return {**super()._sources(), **self._given(keep=self.keep)}


class CryoresLocalFiltering(CryoresMapProcessing):
    """Base of the filters by local resolution, which is measured with blocres where it is not given."""

    _possibleOutputs = {**CryoresPostprocessing._possibleOutputs, "resolution_Volume": Volume}
    _mapIs = "One map may be sharpened; half maps are as the refinement wrote them."

    def _addMask(self, form, name, means, **more):
        super()._addMask(form, name, means, otherwise="it is where the local resolution has values", **more)

    def _addFurtherInputs(self, form):
        form.addParam(
            "resolutionMap", params.PointerParam, pointerClass="Volume", allowsNull=True, label="Local resolution map",
            help="In Å, of any protocol. Empty: blocres of the half maps measures it.",
        )  # fmt: skip
        addNoValue(form)
        super()._addFurtherInputs(form)

    def _sources(self):
        return {**super()._sources(), **self._given(resolution_map=self.resolutionMap)}

    def _backgrounds(self):
        return [self.background.get("auto").strip() or "auto"]

    def createOutputStep(self, words):
        """Register the filtered map; and the local resolution and its mask, where the engine made them."""
        super().createOutputStep(words)
        if "resolution.mrc" in self.readReport()["files"]:
            self._defineVolume("resolution_Volume", "resolution.mrc", Volume())
