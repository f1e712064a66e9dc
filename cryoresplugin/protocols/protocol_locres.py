"""Our own local resolution, calibrated on planted truth: a value and its 5-95 % interval."""

from pwem.objects import Volume, VolumeMask

from cryoresplugin.protocols.protocol_halves import CryoresHalves


class CryoresProtLocres(CryoresHalves):
    """Local resolution with an interval that is meant to hold the truth nine times of ten.

    When it lies: it needs half maps with their noise (not masked; any isotropic filter may have been applied to both),
    and where resolution is lost in another way than in its training its interval is too narrow. It is young: look at
    another method beside it.
    """

    _label = "locres"
    _method = "locres"
    _possibleOutputs = {
        "resolution_Volume": Volume, "lower_Volume": Volume, "upper_Volume": Volume, "outputMask": VolumeMask,
    }  # fmt: skip

    def createOutputStep(self, words):
        self._defineVolume("lower_Volume", "lower.mrc", Volume())
        self._defineVolume("upper_Volume", "upper.mrc", Volume())
        super().createOutputStep(words)
