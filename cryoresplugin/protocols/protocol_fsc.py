"""Fourier shell correlation of two half maps, and of a map with its model."""

from pwem.objects import SetOfFSCs
from pyworkflow.protocol import params

from cryoresplugin.protocols.curves import CurvesOutput
from cryoresplugin.protocols.protocol_base import CryoresProtocol

CURVES = ("corrected", "masked", "randomised", "unmasked", "particle", "model")
"""Columns of the engine's table that are correlations."""


class CryoresProtFSC(CurvesOutput, CryoresProtocol):
    """Global resolution: FSC plain, under a mask, with randomised phases, and corrected for the mask.

    With an atomic model also the correlation of map and model.
    """

    _label = "FSC"
    _method = "fsc"
    _possibleOutputs = {"outputFSCs": SetOfFSCs}

    def _defineParams(self, form):
        form.addSection(label="Input")
        self._defineHalvesParams(form)
        form.addParam("mask", params.PointerParam, pointerClass="VolumeMask", allowsNull=True, label="Mask",
                      help="Multiplies the maps; a soft edge is better.")  # fmt: skip
        form.addParam("model", params.PointerParam, pointerClass="AtomStruct", allowsNull=True, label="Atomic model",
                      help="Fitted into the map: adds the FSC of map and model.")  # fmt: skip
        self._addEngineParams(form)
        self._addRunParams(form)

    def createOutputStep(self, words):
        """Register the curves."""
        self._defineCurves(self.readCurves())

    def readCurves(self):
        """Return name -> (frequencies in 1/Å, values) of the curves that the engine wrote."""
        return self._readCurves("fsc.csv", CURVES)

    def _summaryOf(self, report):
        lines = [report["criterion"]]
        for criterion, resolution in report["summary"]["resolution"].items():
            if resolution is not None:
                lines.append(f"Resolution at {criterion}: {resolution:.2f} Å")
        return lines

    def _halvesFields(self):
        return self.halvesAttached.get(), self.inputVolume, self.half1, self.half2

    def _sources(self):
        return {**self._attachedOrPaired(*self._halvesFields()), **self._given(mask=self.mask)}

    def _engineFiles(self):
        model = {role: atoms.getFileName() for role, atoms in self._given(model=self.model).items()}
        return {**super()._engineFiles(), **model}

    def _referencePointer(self):
        return self.inputVolume if self.halvesAttached else self.half1

    def _missingInputs(self):
        return self._missingHalves(*self._halvesFields())
