"""MonoRes, with the fields and the output of XmippProtMonoRes."""

from pyworkflow.protocol import params
from pyworkflow.protocol.constants import LEVEL_ADVANCED

from cryoresplugin.protocols.protocol_base import CryoresProtocol


class CryoresProtMonoRes(CryoresProtocol):
    """Local resolution where the monogenic signal of the map rises above the noise.

    Give half maps where there are any: the noise is then known inside the particle. With one map it is taken from
    around the particle, which must be neither masked nor denoised.
    """

    _label = "local MonoRes"
    _method = "monores"
    _fields = {
        "min_resolution": "minRes",
        "max_resolution": "maxRes",
        "resolution_step": "stepSize",
        "noise_in_mask": "noiseOnlyInHalves",
    }

    def _defineParams(self, form):
        form.addSection(label="Input")
        form.addParam("useHalfVolumes", params.BooleanParam, default=False, label="Would you like to use half volumes?",
                      help="Half maps give the noise inside the particle: recommended.")  # fmt: skip
        form.addParam("hasHalfVolumesFile", params.BooleanParam, default=True, condition="useHalfVolumes",
                      label="Are the half volumes stored with the input volume?",
                      help="Yes: give the volume, its half maps are found. No: give the two half maps.")  # fmt: skip
        form.addParam("fullMap", params.PointerParam, pointerClass="Volume", condition="not useHalfVolumes",
                      allowsNull=True, label="Input Volume", help="One raw, unmasked map.")  # fmt: skip
        form.addParam("associatedHalves", params.PointerParam, pointerClass="Volume", allowsNull=True,
                      condition="useHalfVolumes and hasHalfVolumesFile", label="Input Half Maps",
                      help="Volume that was imported with its half maps.")  # fmt: skip
        for number in (1, 2):
            form.addParam(f"halfMap{number}", params.PointerParam, pointerClass="Volume", allowsNull=True,
                          condition="useHalfVolumes and not hasHalfVolumesFile", label=f"Volume Half {number}",
                          help="Raw half map: not masked, sharpened or filtered.")  # fmt: skip
        form.addParam("mask", params.PointerParam, pointerClass="VolumeMask", allowsNull=True, label="Binary Mask",
                      help="1 on the particle. Made from the map when not given.")  # fmt: skip
        form.addParam("maskExcl", params.PointerParam, pointerClass="VolumeMask", allowsNull=True,
                      expertLevel=LEVEL_ADVANCED, label="Exclude Area",
                      help="Voxels that are neither signal nor noise.")  # fmt: skip
        low = self._helpOn("max_resolution")
        line = form.addLine("Resolution Range (Å)", help=f"High 0: Nyquist. Low: {low}")
        line.addParam("minRes", params.FloatParam, default=0, label="High", help=self._helpOn("min_resolution"))
        line.addParam("maxRes", params.FloatParam, allowsNull=True, label="Low", help=low)
        line.addParam("stepSize", params.FloatParam, allowsNull=True, expertLevel=LEVEL_ADVANCED, label="Step",
                      help=self._helpOn("resolution_step"))  # fmt: skip
        form.addParam("significance", params.FloatParam, default=0.95, expertLevel=LEVEL_ADVANCED, label="Significance",
                      help=self._helpOn("significance"))  # fmt: skip
        form.addParam("maskThreshold", params.FloatParam, default=0.5, expertLevel=LEVEL_ADVANCED,
                      label="Mask threshold", help=self._helpOn("mask_threshold"))  # fmt: skip
        form.addParam("noiseOnlyInHalves", params.BooleanParam, default=True, expertLevel=LEVEL_ADVANCED,
                      condition="useHalfVolumes", label="Use noise inside protein?",
                      help=self._helpOn("noise_in_mask"))  # fmt: skip
        form.addParam("gaussianNoise", params.BooleanParam, default=False, expertLevel=LEVEL_ADVANCED,
                      label="Consider noise gaussian?", help=self._helpOn("gaussian_noise"))  # fmt: skip
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
