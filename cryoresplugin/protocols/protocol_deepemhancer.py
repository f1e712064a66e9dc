"""DeepEMhancer, with the fields and the output of XmippProtDeepVolPostProc."""

from pwem.objects import Volume, VolumeMask
from pyworkflow.protocol import params

from cryoresplugin.protocols.fields import addAttachedQuestion, addHalfMaps, addMap, addMask, addUseHalves
from cryoresplugin.protocols.protocol_postprocessing_base import CryoresPostprocessing

AUTOMATIC, STATISTICS, BINARY_MASK = range(3)
TARGETS = ("tightTarget", "wideTarget", "highRes")
PUBLISHED = 1


class CryoresProtDeepEMhancer(CryoresPostprocessing):
    """Enhances a map with a network that was trained on local scaling to models: sharpened and masked at once.

    When it lies: it removes what it takes for solvent, such as ligands and glycans far from the molecule, and takes
    noise for signal in maps that were sharpened or masked. For looking at and for building a model; never refine or
    measure a resolution against it.
    """

    _label = "DeepEMhancer"
    _method = "deepemhancer"
    _fields = {
        "batch": "batch_size", "target": "modelType", "noise_stats": "noiseMean", "cleaning": "sizeFraction_CC",
    }  # fmt: skip
    _possibleOutputs = {"Volume": Volume, "confidence": Volume, "outputMask": VolumeMask}
    _processedOutput = "Volume"

    def _defineParams(self, form):
        form.addSection(label="Input")
        addUseHalves(form, "useHalfMapsInsteadVol", "Their mean is enhanced, and the confidence knows the noise.")
        addAttachedQuestion(form, "halfMapsAttached", condition="useHalfMapsInsteadVol")
        addHalfMaps(form, ("inputHalf1", "inputHalf2"), condition="useHalfMapsInsteadVol and not halfMapsAttached")
        addMap(form, "inputVolume", "As the refinement wrote it: not sharpened or masked.",
               condition="not useHalfMapsInsteadVol or halfMapsAttached")  # fmt: skip
        form.addParam("normalization", params.EnumParam, default=AUTOMATIC,
                      choices=["Automatic normalization", "Normalization from statistics",
                               "Normalization from binary mask"],
                      label="Normalization",
                      help="Of the published networks. Ours find the scale of a map by themselves. Recommended: "
                           "automatic.")  # fmt: skip
        addMask(form, "inputMask", "Where the molecule is.", condition=f"normalization=={BINARY_MASK}",
                otherwise="choose another normalization")  # fmt: skip
        statistics = f"normalization=={STATISTICS}"
        for name, what in (("noiseMean", "Mean"), ("noiseStd", "Standard deviation")):
            form.addParam(name, params.FloatParam, allowsNull=True, condition=statistics, label=f"{what} of the noise",
                          help="Of the voxels around the particle, on the map's scale.")  # fmt: skip
        form.addParam("modelType", params.EnumParam, default=0, choices=["tight target", "wide target", "highRes"],
                      condition=f"normalization in [{STATISTICS}, {AUTOMATIC}]", label="What it is trained for",
                      help=self._helpOn("target"))  # fmt: skip
        form.addParam("weights", params.EnumParam, default=0, choices=["own", "published"], label="Networks",
                      help="Own: come with this package, and give a confidence. Published: install them with "
                           "'cryores weights fetch deepemhancer'.")  # fmt: skip
        form.addParam("performCleaningStep", params.BooleanParam, default=False, expertLevel=params.LEVEL_ADVANCED,
                      label="Remove small parts?",
                      help="Yes: isolated parts are left out. Recommended: no; ligands may be isolated.")  # fmt: skip
        form.addParam("sizeFraction_CC", params.FloatParam, default=0.05, expertLevel=params.LEVEL_ADVANCED,
                      condition="performCleaningStep", label="Share of density of a small part",
                      help="Parts with less of all density (0 to 1) are removed. Recommended: 0.05.")  # fmt: skip
        form.addParam("batch_size", params.IntParam, default=8, expertLevel=params.LEVEL_ADVANCED, label="Batch size",
                      help=self._helpOn("batch"))  # fmt: skip
        self._addKeepParam(form)
        self._addEngineParams(form)
        self._addRunParams(form)

    def _valueOf(self, parameter):
        told = self._translated()
        return told[parameter.name] if parameter.name in told else super()._valueOf(parameter)

    def _translated(self):
        statistics = self.normalization.get() == STATISTICS
        return {
            "target": self._target(),
            "noise_stats": (self.noiseMean.get(), self.noiseStd.get()) if statistics else None,
            "cleaning": self.sizeFraction_CC.get() if self.performCleaningStep else None,
        }

    def _target(self):
        return "masked" if self.normalization.get() == BINARY_MASK else TARGETS[self.modelType.get()]

    def _sources(self):
        masked = self.normalization.get() == BINARY_MASK
        if self.useHalfMapsInsteadVol:
            maps = self._attachedOrPaired(*self._halvesFields())
        else:
            maps = {"map": self.inputVolume.get()}
        return {**maps, **self._given(keep=self.keep), **(self._given(mask=self.inputMask) if masked else {})}

    def _halvesFields(self):
        return self.halfMapsAttached.get(), self.inputVolume, self.inputHalf1, self.inputHalf2

    def _referencePointer(self):
        apart = self.useHalfMapsInsteadVol and not self.halfMapsAttached
        return self.inputHalf1 if apart else self.inputVolume

    def createOutputStep(self, words):
        """Register the enhanced map, the confidence of our networks, and the mask where the engine made one."""
        super().createOutputStep(words)
        if "confidence.mrc" in self.readReport()["files"]:
            self._defineVolume("confidence", "confidence.mrc", Volume())

    def _missingInputs(self):
        if self.normalization.get() == BINARY_MASK and self.inputMask.get() is None:
            return ["Give the binary mask, or choose another normalization."]
        if self.normalization.get() == STATISTICS and None in (self.noiseMean.get(), self.noiseStd.get()):
            return ["Give mean and standard deviation of the noise, or choose another normalization."]
        if self.normalization.get() != AUTOMATIC and self.weights.get() != PUBLISHED:
            return ["Our networks normalize by themselves: choose automatic normalization, or the published networks."]
        if self.useHalfMapsInsteadVol:
            return self._missingHalves(*self._halvesFields())
        return [] if self.inputVolume.get() is not None else ["Give the input volume."]
