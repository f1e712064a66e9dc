"""Over- or under-sharpened: maps judged by DeepRes against the local resolution of the raw half maps."""

from pwem.objects import Volume, VolumeMask
from pyworkflow.protocol import params

from cryoresplugin.protocols.fields import addModel, addNames
from cryoresplugin.protocols.protocol_compare import namesOfMaps
from cryoresplugin.protocols.protocol_halves import CryoresHalves


class CryoresProtVerdict(CryoresHalves):
    """Says of each sharpened map whether it shows more, or less, than the raw half maps hold, and which is best.
    DeepRes of each map is set against MonoRes, or our calibrated local resolution, of the half maps. Without sharpened
    maps, a series of B-factors is tried.

    When it lies: with our own network over-sharpening is seen too seldom, and there is one limit for the whole map. A
    map changed region by region may look right by density that was invented: evaluate it by half maps too.
    """

    _label = "sharpening verdict"
    _method = "verdict"
    _possibleOutputs = {
        "outputVolume": Volume, "resolution_Volume": Volume, "halves_resolution_Volume": Volume,
        "outputMask": VolumeMask,
    }  # fmt: skip

    _maskMeans = "Where the maps are judged."

    def _addFurtherInputs(self, form):
        form.addParam("sharpenedMaps", params.MultiPointerParam, pointerClass="Volume", allowsNull=True,
                      label="Sharpened maps (optional)",
                      help="Maps of any protocol that were made from these half maps. Empty: a series of B-factors "
                      "is tried on their mean.")  # fmt: skip
        addNames(form, "maps")
        form.addParam("bfactors", params.StringParam, default="", label="B-factors (Å²)",
                      help=self._helpOn("bfactors"))  # fmt: skip
        addModel(form, "model", "Adds its correlation with every map.")

    def createOutputStep(self, words):
        """Register the best map, its DeepRes, that of the half maps, and the mask where the engine made one."""
        self._defineVolume("outputVolume", "best.mrc", Volume())
        self._defineVolume("resolution_Volume", self.readReport()["summary"]["best_file"], Volume())
        self._defineVolume("halves_resolution_Volume", "resolution.mrc", Volume())
        self._defineMadeMask()

    def _summaryOf(self, report):
        lines = [report["criterion"]]
        for name, row in report["summary"]["maps"].items():
            score = "" if row["model_cc"] is None else f", model CC {row['model_cc']:.3f}"
            lines.append(
                f"{name}: {row['verdict']}, median {row['median']:.2f} Å, {100 * row['past']:.0f} % past the "
                f"limit{score}"
            )
        return lines

    def _namedMaps(self):
        return namesOfMaps(self.names, self.sharpenedMaps)

    def _backgrounds(self):
        return []

    def _models(self):
        return self._given(model=self.model)

    def _missingInputs(self):
        missing = super()._missingInputs()
        if any(pointer.get() is None for pointer in self.sharpenedMaps):
            missing.append("One of the sharpened maps is not there yet.")
        elif len(self._namedMaps()) < self.sharpenedMaps.getSize():
            missing.append("Give one name for each sharpened map, all different.")
        return missing
