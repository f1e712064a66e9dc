"""ResMap, with the fields and the output of ProtResMap."""

from pwem.objects import Volume, VolumeMask
from pyworkflow.protocol import params

from cryoresplugin.protocols.fields import RANGE, addMap, addMask
from cryoresplugin.protocols.protocol_halves import CryoresHalves


class CryoresProtResMap(CryoresHalves):
    """Local resolution as the finest wave that a local model finds significant.

    When it lies: it takes the noise for white, so give half maps that are not masked, sharpened or filtered; the
    spectrum of their noise is made flat by itself. Values are steps of the tested scales.
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
        addMap(form, "volumeHalf1", "First half map. With half map 2 empty: a volume with its half maps attached, or "
               "one map alone, whose noise is then taken from around the particle.",
               label="Half map 1")  # fmt: skip
        addMap(form, "volumeHalf2", "Second half map; empty where half map 1 has both attached, or is one map alone.",
               label="Half map 2", important=False)  # fmt: skip
        form.addParam("applyMask", params.BooleanParam, default=False, label="Use a mask?",
                      help="No: it is made from the maps, and is the output outputMask.")  # fmt: skip
        addMask(form, "maskVolume", "Where the resolution is wanted.", condition="applyMask",
                otherwise="answer no to the question above")  # fmt: skip
        form.addParam("show2D", params.BooleanParam, default=True, expertLevel=params.LEVEL_ADVANCED,
                      label="Visualize 2D results?", help="Kept for scripts; the viewer shows them.")  # fmt: skip
        form.addParam("stepRes", params.FloatParam, default=1, label="Step of resolution (Å)",
                      help=self._helpOn("resolution_step"))  # fmt: skip
        ends = (self._helpOn("min_resolution"), self._helpOn("max_resolution"))
        line = form.addLine(RANGE, help="High: {}\n\nLow: {}".format(*ends))
        line.addParam("minRes", params.FloatParam, default=0, label="High", help=self._helpOn("min_resolution"))
        line.addParam("maxRes", params.FloatParam, default=0, label="Low", help=self._helpOn("max_resolution"))
        form.addParam("pVal", params.FloatParam, default=0.05, label="p-value", help=self._helpOn("p_value"))
        form.addHidden(
            "doBenchmarking", params.BooleanParam, default=False, label="Benchmark", help="Kept for scripts."
        )
        self._addEngineParams(form)
        self._addRunParams(form)

    def _halvesFields(self):
        return self.volumeHalf2.get() is None, self.volumeHalf1, self.volumeHalf1, self.volumeHalf2

    def _sources(self):
        mask = self._given(mask=self.maskVolume) if self.applyMask else {}
        maps = {"map": self.volumeHalf1.get()} if self._oneMap() else self._attachedOrPaired(*self._halvesFields())
        return {**maps, **mask}

    def _missingInputs(self):
        return [] if self._oneMap() else super()._missingInputs()

    def _oneMap(self):
        alone = self.volumeHalf2.get() is None and self.volumeHalf1.get() is not None
        return alone and not self.volumeHalf1.get().hasHalfMaps()
