"""Fourier shell correlation of two half maps, and of a map with its model."""

from pwem.objects import SetOfFSCs

from cryoresplugin.protocols.curves import CurvesOutput
from cryoresplugin.protocols.fields import addModel
from cryoresplugin.protocols.protocol_halves import CryoresHalves

CURVES = ("corrected", "masked", "randomised", "unmasked", "particle", "model")
"""Columns of the engine's table that are correlations."""


class CryoresProtFSC(CurvesOutput, CryoresHalves):
    """Global resolution: FSC plain, under a mask, with randomised phases, and corrected for the mask. With an atomic
    model also the correlation of map and model.

    When it lies: half maps that share more than the particle (one reference, masks, filters) agree too well, a tight or
    hard mask adds an agreement of its own, and one number hides a fine core and a coarse rim.
    """

    _label = "FSC"
    _method = "fsc"
    _possibleOutputs = {"outputFSCs": SetOfFSCs}
    _maskMeans = "Multiplies the maps: with a soft edge, and not tight."

    def _addFurtherInputs(self, form):
        addModel(form, "model", "Adds the FSC of map and model.")

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

    def _models(self):
        return self._given(model=self.model)
