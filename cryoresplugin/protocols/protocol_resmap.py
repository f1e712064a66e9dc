"""ResMap, with the fields and the output of ProtResMap."""

from pwem.objects import Volume, VolumeMask
from pyworkflow.protocol import params

from cryoresplugin.protocols.protocol_halves import CryoresHalves


class CryoresProtResMap(CryoresHalves):
    """Local resolution as the finest wave that a local model finds significant.

    Give unmasked, unsharpened half maps; the spectrum of their noise is made flat by itself.
    """

    _label = "ResMap"
    _method = "resmap"
    _possibleOutputs = {"outputVolume": Volume, "outputMask": VolumeMask}
    _resolutionOutput = "outputVolume"
    _fields = {
        "resolution_step": "stepRes",
        "min_resolution": "minRes",
        "max_resolution": "maxRes",
        "p_value": "pVal",
    }

    def _defineParams(self, form):
        form.addSection(label="Input")
        form.addParam("volumeHalf1", params.PointerParam, pointerClass="Volume", label="Volume half 1",
                      help="First half map; or a volume with both attached, and Volume half 2 empty.")  # fmt: skip
        form.addParam("volumeHalf2", params.PointerParam, pointerClass="Volume", allowsNull=True, label="Volume half 2",
                      help="Second half map; empty where the first has both attached.")  # fmt: skip
        form.addParam("applyMask", params.BooleanParam, default=False, label="Mask input volume?",
                      help="Where the resolution is asked for. No: a mask is made.")  # fmt: skip
        form.addParam("maskVolume", params.PointerParam, pointerClass="VolumeMask", condition="applyMask",
                      allowsNull=True, label="Mask volume")  # fmt: skip
        form.addParam("show2D", params.BooleanParam, default=True, expertLevel=params.LEVEL_ADVANCED,
                      label="Visualize 2D results?", help="Kept for scripts; the viewer shows them.")  # fmt: skip
        form.addParam("stepRes", params.FloatParam, default=1, label="Step size (Ang):",
                      help=self._helpOn("resolution_step"))  # fmt: skip
        line = form.addLine("Resolution Range (A)", help="0: 2.2 and 8 voxels.")
        line.addParam("minRes", params.FloatParam, default=0, label="Min", help=self._helpOn("min_resolution"))
        line.addParam("maxRes", params.FloatParam, default=0, label="Max", help=self._helpOn("max_resolution"))
        form.addParam("pVal", params.FloatParam, default=0.05, label="Confidence level:", help=self._helpOn("p_value"))
        form.addHidden(
            "doBenchmarking", params.BooleanParam, default=False, label="Benchmark", help="Kept for scripts."
        )
        self._addEngineParams(form)
        self._addRunParams(form)

    def _halvesFields(self):
        return self.volumeHalf2.get() is None, self.volumeHalf1, self.volumeHalf1, self.volumeHalf2

    def _sources(self):
        mask = self._given(mask=self.maskVolume) if self.applyMask else {}
        return {**self._attachedOrPaired(*self._halvesFields()), **mask}
