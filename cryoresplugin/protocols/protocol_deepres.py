"""DeepRes, with the fields and the output of XmippProtDeepRes."""

from pyworkflow.protocol import params

from cryoresplugin import Plugin
from cryoresplugin.protocols.protocol_base import CryoresProtocol

RANGES = {"2.5Å - 13.0Å": "2.5-13", "1.5Å - 6.0Å": "1.5-6"}
"""Choice of the form -> the engine's word."""

PUBLISHED = {"2.5-13": "model_w13.h5", "1.5-6": "model_w7.h5"}
"""The engine's word -> the file that the published network of this range lies in."""


class CryoresProtDeepRes(CryoresProtocol):
    """Local resolution from what the density looks like, as a network has learned it.

    No half maps are needed. Give the map as it will be interpreted: the sharper it looks, the finer the values.
    """

    _label = "local deepRes"
    _method = "deepres"

    def _defineParams(self, form):
        form.addSection(label="Input")
        form.addParam("inputVolume", params.PointerParam, pointerClass="Volume", label="Input Volume",
                      help="One map, sharpened or not: that is what is judged.")  # fmt: skip
        form.addParam("Mask", params.PointerParam, pointerClass="VolumeMask", allowsNull=True, label="Mask",
                      help="1 on the particle. Made from the map when not given.")  # fmt: skip
        form.addParam("range", params.EnumParam, choices=list(RANGES), default=0, label="Expected resolutions range",
                      help="The first network sees the map at 1 Å a voxel, the second at 0.5 Å.")  # fmt: skip
        self._addEngineParams(form)
        self._addRunParams(form)

    def _translated(self):
        return {"range": RANGES[self.getEnumText("range")]}

    def _sources(self):
        return {"map": self.inputVolume.get(), **self._given(mask=self.Mask)}

    def _referencePointer(self):
        return self.inputVolume

    def _missingInputs(self):
        missing = [] if self.inputVolume.get() is not None else ["Give the input volume."]
        if self.getEnumText("weights") == "published":
            missing += Plugin.missingWeights("deepres", PUBLISHED[RANGES[self.getEnumText("range")]])
        return missing
