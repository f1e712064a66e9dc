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


WITH_HALVES, TWO_HALVES, ONE_MAP = range(3)


class CryoresMapProcessing(CryoresPostprocessing):
    """Base of the new protocols: half maps or one map, a mask, a region to keep, and the engine's parameters."""

    def _defineParams(self, form):
        form.addSection(label="Input")
        form.addParam(
            "inputType", params.EnumParam, choices=["Volume with half-maps", "Individual half-maps", "One map"],
            default=WITH_HALVES, label="Input type:", help="Half maps are better: the resolution is measured.",
        )  # fmt: skip
        form.addParam(
            "inputVolume", params.PointerParam, pointerClass="Volume", condition=f"inputType!={TWO_HALVES}",
            allowsNull=True, label="Input volume", help="Unsharpened and unmasked.",
        )  # fmt: skip
        for number in (1, 2):
            form.addParam(
                f"inputHalf{number}", params.PointerParam, pointerClass="Volume", allowsNull=True,
                condition=f"inputType=={TWO_HALVES}", label=f"Input half map {number}",
            )  # fmt: skip
        form.addParam(
            "mask", params.PointerParam, pointerClass="VolumeMask", allowsNull=True, label="Mask",
            help="Tight around the molecule. Made from the maps when not given.",
        )  # fmt: skip
        self._addFurtherInputs(form)
        self._addKeepParam(form)
        self._addEngineParams(form)
        self._addRunParams(form)

    def _addFurtherInputs(self, form):
        """Add what the method takes beside the maps and the mask."""

    def _halvesFields(self):
        return self.inputType.get() == WITH_HALVES, self.inputVolume, self.inputHalf1, self.inputHalf2

    def _sources(self):
        single = self.inputType.get() == ONE_MAP
        maps = {"map": self.inputVolume.get()} if single else self._attachedOrPaired(*self._halvesFields())
        return {**maps, **self._given(mask=self.mask, keep=self.keep)}

    def _referencePointer(self):
        return self.inputHalf1 if self.inputType.get() == TWO_HALVES else self.inputVolume

    def _missingInputs(self):
        if self.inputType.get() == ONE_MAP:
            return [] if self.inputVolume.get() is not None else ["Give the input volume."]
        return self._missingHalves(*self._halvesFields())


class CryoresLocalFiltering(CryoresMapProcessing):
    """Base of the filters by local resolution, which is measured with blocres where it is not given."""

    _possibleOutputs = {**CryoresPostprocessing._possibleOutputs, "resolution_Volume": Volume}

    def _addFurtherInputs(self, form):
        form.addParam(
            "resolutionMap", params.PointerParam, pointerClass="Volume", allowsNull=True, label="Local resolution",
            help="A local-resolution map in Å of any protocol. Empty: blocres of the half maps.",
        )  # fmt: skip
        form.addParam(
            "background", params.StringParam, default="auto", expertLevel=params.LEVEL_ADVANCED, label="No value",
            help="The number that stands for 'no value' in the local resolution, beside 0 and NaN: auto, none, or a "
            "number.",
        )  # fmt: skip

    def _sources(self):
        return {**super()._sources(), **self._given(resolution_map=self.resolutionMap)}

    def _backgrounds(self):
        return [self.background.get("auto").strip() or "auto"]

    def createOutputStep(self, words):
        """Register the filtered map; and the local resolution and its mask, where the engine made them."""
        super().createOutputStep(words)
        made = self.readReport()["files"]
        if "resolution.mrc" in made:
            self._defineVolume("resolution_Volume", "resolution.mrc", Volume())
        if "mask.mrc" in made:
            self._defineVolume("outputMask", "mask.mrc", VolumeMask())
