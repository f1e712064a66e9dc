"""Local amplitude scaling, with the fields and the output of ProtLocScale."""

import shlex

from pwem.objects import Volume, VolumeMask
from pyworkflow.protocol import params

from cryoresplugin.protocols.fields import LABELS, addMap, addUseHalves
from cryoresplugin.protocols.protocol_postprocessing_base import CryoresPostprocessing

REF_NONE, REF_PDB, REF_VOLUME = range(3)


class CryoresProtLocScale(CryoresPostprocessing):
    """Gives a map the local amplitudes of a model, of another map, or those that a protein is expected to have.

    When it lies: the mistakes and the B-factors of the model become the map's, and both agree better afterwards by
    construction. Without a model, the poor regions of one map are sharpened like the good ones.
    """

    _label = "LocScale"
    _method = "locscale"
    _fields = {"min_resolution": "resol", "incomplete": "incompletePdb"}
    _possibleOutputs = {"Volume": Volume, "outputMask": VolumeMask}
    _processedOutput = "Volume"

    def _defineParams(self, form):
        scaled = "not useNNpredict"
        form.addSection(label="Input")
        addMap(form, "inputVolume", "As the refinement wrote it: not sharpened or masked.")
        addUseHalves(form, "useHalfMaps", "Those stored with the map: their mean is scaled, and noise is weighed down "
                     "in every window.")  # fmt: skip
        form.addHidden("useNNpredict", params.BooleanParam, default=False, label="Use EMmerNet predictions?",
                       help="Kept for scripts: there is no EMmerNet here.")  # fmt: skip
        form.addHidden("emmernetModel", params.EnumParam, choices=["high_context", "low_context"], default=0,
                       label="EMmerNet model", condition="useNNpredict")  # fmt: skip
        form.addParam("symmetryGroup", params.StringParam, default="c1", label="Symmetry", condition=scaled,
                      help="Kept for scripts: give a model of the whole assembly.")  # fmt: skip
        form.addParam("refType", params.EnumParam, choices=["None", "PDB", "Volume"], default=REF_PDB,
                      label="Reference", condition=scaled,
                      help="Whose local amplitudes the map gets. None: those expected of a protein.")  # fmt: skip
        form.addParam("refPdb", params.PointerParam, pointerClass="AtomStruct", allowsNull=True,
                      label="Atomic model", condition=f"refType=={REF_PDB} and {scaled}",
                      help="Fitted into the map (the header of its file counts), B-factors refined.")  # fmt: skip
        form.addParam("incompletePdb", params.BooleanParam, default=False, label="Is the model partial?",
                      condition=f"refType=={REF_PDB} and {scaled}", help=self._helpOn("incomplete"))  # fmt: skip
        form.addParam("refObj", params.PointerParam, pointerClass="Volume", allowsNull=True, label="Reference map",
                      condition=f"refType=={REF_VOLUME} and {scaled}",
                      help="On the grid of the map: its local amplitudes are taken.")  # fmt: skip
        form.addSection(label="Parameters")
        self._addMask(form, "binaryMask", "Where the map is scaled.", condition=scaled)
        form.addParam("resol", params.IntParam, default=3, label=f"{LABELS['min_resolution']} (Å)",
                      condition=scaled, help=self._helpOn("min_resolution"))  # fmt: skip
        form.addParam("extraParams", params.StringParam, default="", expertLevel=params.LEVEL_ADVANCED,
                      label="Further words", help="Further words for cryores locscale.")  # fmt: skip
        self._addKeepParam(form)
        self._addEngineParams(form)
        self._addRunParams(form, threads=3)

    def _engineWords(self):
        return super()._engineWords() + shlex.split(self.extraParams.get() or "")

    def _sources(self):
        reference = self._given(reference=self.refObj) if self.refType.get() == REF_VOLUME else {}
        if self.useHalfMaps:
            maps = self._attachedOrPaired(True, self.inputVolume, None, None)
        else:
            maps = {"map": self.inputVolume.get()}
        return {**maps, **reference, **self._given(mask=self.binaryMask, keep=self.keep)}

    def _models(self):
        return self._given(model=self.refPdb) if self.refType.get() == REF_PDB else {}

    def _translated(self):
        # A model is said to be partial only where there is one.
        return {"incomplete": bool(self.incompletePdb.get()) and self.refType.get() == REF_PDB}

    def _referencePointer(self):
        return self.inputVolume

    def _missingInputs(self):
        if self.useNNpredict:
            return ["There is no EMmerNet here: use the DeepEMhancer protocol, or local scaling."]
        if self.inputVolume.get() is None:
            return ["Give the input volume."]
        if self.refType.get() == REF_PDB and self.refPdb.get() is None:
            return ["Give the reference PDB model, or choose another reference type."]
        if self.refType.get() == REF_VOLUME and self.refObj.get() is None:
            return ["Give the reference volume, or choose another reference type."]
        return self._missingHalves(True, self.inputVolume, None, None) if self.useHalfMaps else []

    def _warnings(self):
        whole = self.symmetryGroup.get().strip().lower() in ("", "c1")
        said = "Symmetric copies of the model are not made: give the whole assembly."
        return super()._warnings() + ([] if whole or self.refType.get() != REF_PDB else [said])
