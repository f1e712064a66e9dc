"""Directional resolution, with the fields of XmippProtFSO."""

from pwem.objects import SetOfFSCs, Volume
from pyworkflow.protocol import params
from pyworkflow.protocol.constants import LEVEL_ADVANCED

from cryoresplugin.protocols.curves import CurvesOutput
from cryoresplugin.protocols.fields import addAttachedQuestion, addHalfMaps, addWithHalves
from cryoresplugin.protocols.protocol_halves import CryoresHalves

CURVES = ("fsc", "fso", "fso_if_isotropic")
"""Columns of the engine's table that are curves."""


class CryoresProtFSO(CurvesOutput, CryoresHalves):
    """Directional resolution: Fourier shell occupancy, 3DFSC, sphericity, what is missing, and a map filtered by it.

    When it lies: a mask smears over what is missing, in both half maps alike. Run it with and without the mask.
    """

    _label = "FSO"
    _method = "fso"
    _fields = {"cutoff": "threshold", "cone": "coneAngle", "estimate_3dfsc": "estimate3DFSC"}
    _possibleOutputs = {"outputFSCs": SetOfFSCs, "outputVolume": Volume}

    def _defineParams(self, form):
        form.addSection(label="Input")
        addAttachedQuestion(form, "halfVolumesFile", default=False)
        addWithHalves(form, "inputHalves", condition="halfVolumesFile")
        addHalfMaps(form, ("half1", "half2"), condition="not halfVolumesFile")
        self._addMask(form, "mask", "Multiplies the maps, and hides missing views: run it without one too.")
        form.addParam("coneAngle", params.FloatParam, default=17.0, expertLevel=LEVEL_ADVANCED,
                      label="Cone of the FSO (degrees)", help=self._helpOn("cone"))  # fmt: skip
        form.addParam("estimate3DFSC", params.BooleanParam, default=True, label="Estimate the 3DFSC?",
                      help=self._helpOn("estimate_3dfsc"))  # fmt: skip
        form.addParam("threshold", params.FloatParam, default=0.143, expertLevel=LEVEL_ADVANCED,
                      label="FSC threshold", help=self._helpOn("cutoff"))  # fmt: skip
        self._addEngineParams(form)
        self._addRunParams(form)

    def createOutputStep(self, words):
        """Register FSC and FSO and, where the 3DFSC was made, the map filtered by direction."""
        self._defineCurves(self.readCurves())
        if self.estimate3DFSC:
            self._defineVolume("outputVolume", "filtered.mrc", Volume())

    def readCurves(self):
        """Return name -> (frequencies in 1/Å, values) of FSC, FSO and the FSO of an isotropic map."""
        return self._readCurves("fso.csv", CURVES)

    def _summaryOf(self, report):
        summary = report["summary"]
        lines = [report["criterion"]]
        lines += [f"FSC {name}: {value:.2f} Å" for name, value in summary["resolution"].items() if value is not None]
        lines += [f"FSO {name}: {value:.2f} Å" for name, value in summary["occupancy"].items() if value is not None]
        if "sphericity" in summary:
            lines.append(f"Sphericity of the 3DFSC at {summary['sphericity_cutoff']:g}: {summary['sphericity']:.3f}")
        return lines

    def _halvesFields(self):
        return self.halfVolumesFile.get(), self.inputHalves, self.half1, self.half2
