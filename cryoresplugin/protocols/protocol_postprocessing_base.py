"""What the post-processing protocols share: their output, and what they say of it."""

from pwem.objects import Volume, VolumeMask
from pyworkflow.protocol import params

from cryoresplugin.protocols.protocol_base import CryoresProtocol


class CryoresPostprocessing(CryoresProtocol):
    """Base of the protocols that make a map easier to read."""

    _possibleOutputs = {"outputVolume": Volume, "outputMask": VolumeMask}

    def _addKeepParam(self, form):
        form.addParam(
            "keep", params.PointerParam, pointerClass="Volume", allowsNull=True, expertLevel=params.LEVEL_ADVANCED,
            label="Region to keep", help="Above 0.5 where the density stays as it is.",
        )  # fmt: skip

    def createOutputStep(self, words):
        """Register the processed map, and the mask where the engine made one."""
        self._defineVolume("outputVolume", "sharpened.mrc", Volume())
        if self.readReport()["mask_was_made"]:
            self._defineVolume("outputMask", "mask.mrc", VolumeMask())

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
