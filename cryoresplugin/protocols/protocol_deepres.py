"""DeepRes, with the fields and the output of XmippProtDeepRes."""

from pyworkflow.protocol import params

from cryoresplugin import Plugin
from cryoresplugin.protocols.fields import LABELS, addMap
from cryoresplugin.protocols.protocol_base import CryoresProtocol

RANGES = {"2.5Å - 13.0Å": "2.5-13", "1.5Å - 6.0Å": "1.5-6"}
"""Choice of the form -> the engine's word."""

PUBLISHED = {"2.5-13": "model_w13.h5", "1.5-6": "model_w7.h5"}
"""The engine's word -> the file that the published network of this range lies in."""


class CryoresProtDeepRes(CryoresProtocol):
    """Local resolution from what the density looks like, as a network has learned it. No half maps are needed.

    When it lies: it judges the look. An over-sharpened map gets values finer than its data, a blurred one coarser: give
    the map as it will be interpreted, and read it beside a method that takes half maps.
    """

    _label = "DeepRes"
    _method = "deepres"

    def _defineParams(self, form):
        form.addSection(label="Input")
        addMap(form, "inputVolume", "One map, sharpened or not: that is what is judged.")
        self._addMask(form, "Mask", "Where the resolution is wanted.")
        form.addParam("range", params.EnumParam, choices=list(RANGES), default=0, label=LABELS["range"],
                      help="The first network sees the map at 1 Å a voxel, the second at 0.5 Å. Recommended: the "
                      "first, unless most of the map is better than 3 Å. Our own network answers somewhat beyond its "
                      "range; such values say little more than: beyond.")  # fmt: skip
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
