"""MonoRes, with the fields and the output of XmippProtMonoRes."""

from pyworkflow.protocol import params
from pyworkflow.protocol.constants import LEVEL_ADVANCED

from cryoresplugin.protocols.fields import RANGE, addAttachedQuestion, addHalfMaps, addMap, addUseHalves, addWithHalves
from cryoresplugin.protocols.protocol_base import CryoresProtocol


class CryoresProtMonoRes(CryoresProtocol):
    """Local resolution where the monogenic signal of the map rises above the noise.

    When it lies: with one map the noise is taken from around the particle, so that a masked, denoised or sharpened map
    misleads; half maps know it inside. Sharpening up to Nyquist makes values too coarse.
    """

    _label = "MonoRes"
    _method = "monores"
    _fields = {
        "min_resolution": "minRes",
        "max_resolution": "maxRes",
        "resolution_step": "stepSize",
        "noise_in_mask": "noiseOnlyInHalves",
    }

    def _defineParams(self, form):
        form.addSection(label="Input")
        addUseHalves(form, "useHalfVolumes", "They tell the noise inside the particle.")
        addAttachedQuestion(form, "hasHalfVolumesFile", condition="useHalfVolumes")
        addMap(form, "fullMap", "As the refinement wrote it: not sharpened, masked or denoised.",
               condition="not useHalfVolumes")  # fmt: skip
        addWithHalves(form, "associatedHalves", condition="useHalfVolumes and hasHalfVolumesFile")
        addHalfMaps(form, ("halfMap1", "halfMap2"), condition="useHalfVolumes and not hasHalfVolumesFile")
        self._addMask(form, "mask", "The particle.")
        form.addParam("maskExcl", params.PointerParam, pointerClass="VolumeMask", allowsNull=True,
                      expertLevel=LEVEL_ADVANCED, label="Mask of what is left out",
                      help="Above 0.5: neither signal nor noise, such as a membrane or a neighbour.")  # fmt: skip
        low = self._helpOn("max_resolution")
        line = form.addLine(RANGE, help=f"High: {self._helpOn('min_resolution')}\n\nLow: {low}")
        line.addParam("minRes", params.FloatParam, default=0, label="High", help=self._helpOn("min_resolution"))
        line.addParam("maxRes", params.FloatParam, allowsNull=True, label="Low", help=low)
        line.addParam("stepSize", params.FloatParam, allowsNull=True, expertLevel=LEVEL_ADVANCED, label="Step",
                      help=self._helpOn("resolution_step"))  # fmt: skip
        form.addParam("significance", params.FloatParam, default=0.95, expertLevel=LEVEL_ADVANCED, label="Significance",
                      help=self._helpOn("significance"))  # fmt: skip
        form.addParam("maskThreshold", params.FloatParam, default=0.5, expertLevel=LEVEL_ADVANCED,
                      label="Mask threshold", help=self._helpOn("mask_threshold"))  # fmt: skip
        form.addParam("noiseOnlyInHalves", params.BooleanParam, default=True, expertLevel=LEVEL_ADVANCED,
                      condition="useHalfVolumes", label="Use the noise inside the mask?",
                      help=self._helpOn("noise_in_mask"))  # fmt: skip
        form.addParam("gaussianNoise", params.BooleanParam, default=False, expertLevel=LEVEL_ADVANCED,
                      label="Take the noise for Gaussian?", help=self._helpOn("gaussian_noise"))  # fmt: skip
        self._addEngineParams(form)
        self._addRunParams(form)

    def _halvesFields(self):
        return self.hasHalfVolumesFile.get(), self.associatedHalves, self.halfMap1, self.halfMap2

    def _sources(self):
        maps = self._attachedOrPaired(*self._halvesFields()) if self.useHalfVolumes else {"map": self.fullMap.get()}
        return {**maps, **self._given(mask=self.mask, exclude=self.maskExcl)}

    def _referencePointer(self):
        if not self.useHalfVolumes:
            return self.fullMap
        return self.associatedHalves if self.hasHalfVolumesFile else self.halfMap1

    def _missingInputs(self):
        if self.useHalfVolumes:
            return self._missingHalves(*self._halvesFields())
        return [] if self.fullMap.get() is not None else ["Give the input volume."]
