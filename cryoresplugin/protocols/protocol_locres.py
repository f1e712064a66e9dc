"""Our own local resolution, calibrated on planted truth: a value and its 5-95 % interval."""

from pwem.objects import Volume, VolumeMask
from pyworkflow.protocol import params

from cryoresplugin.protocols.protocol_base import CryoresProtocol


class CryoresProtLocres(CryoresProtocol):
    """Local resolution with an interval that holds the truth nine times of ten.

    The default answer to what the local resolution of a map is. Give half maps that are not masked; any isotropic
    filter may have been applied to both.
    """

    _label = "local resolution (calibrated)"
    _method = "locres"
    _possibleOutputs = {
        "resolution_Volume": Volume, "lower_Volume": Volume, "upper_Volume": Volume, "outputMask": VolumeMask,
    }  # fmt: skip

    def _defineParams(self, form):
        form.addSection(label="Input")
        self._defineHalvesParams(form)
        form.addParam("mask", params.PointerParam, pointerClass="VolumeMask", allowsNull=True, label="Mask",
                      help="Where the resolution is wanted. Made from the halves when not given.")  # fmt: skip
        self._addEngineParams(form)
        self._addRunParams(form)

    def createOutputStep(self, words):
        self._defineVolume("lower_Volume", "lower.mrc", Volume())
        self._defineVolume("upper_Volume", "upper.mrc", Volume())
        super().createOutputStep(words)

    def _halvesFields(self):
        return self.halvesAttached.get(), self.inputVolume, self.half1, self.half2

    def _sources(self):
        return {**self._attachedOrPaired(*self._halvesFields()), **self._given(mask=self.mask)}

    def _referencePointer(self):
        return self.inputVolume if self.halvesAttached else self.half1

    def _missingInputs(self):
        return self._missingHalves(*self._halvesFields())
