"""LocalDeblur, with the fields and the outputs of XmippProtLocSharp."""

import os

from pwem.objects import Volume
from pyworkflow.protocol import params

from cryoresplugin.protocols.fields import addMap
from cryoresplugin.protocols.protocol_postprocessing_base import CryoresPostprocessing

AUTOMATIC_STEP, AUTOMATIC_ROUNDS = 1, -1


class CryoresProtLocalDeblur(CryoresPostprocessing):
    """Sharpens each place of a map in the frequencies near its local resolution.

    When it lies: it follows the resolution map; too fine, and noise is sharpened. It takes noise out: methods that
    measure noise (MonoRes, ResMap) find too fine a resolution on its result.
    """

    _label = "LocalDeblur"
    _method = "localdeblur"
    _possibleOutputs = {**CryoresPostprocessing._possibleOutputs, "outputVolumes": "SetOfVolumes"}
    _fields = {"step": "const", "k": "K", "rounds": "Niter"}

    def _defineParams(self, form):
        form.addSection(label="Input")
        addMap(form, "inputVolume", "As the refinement wrote it: not sharpened or masked.")
        form.addParam("resolutionVolume", params.PointerParam, pointerClass="Volume", allowsNull=True,
                      label="Local resolution map",
                      help="In Å, of any protocol. Empty: MonoRes of the map measures it.")  # fmt: skip
        self._addKeepParam(form)
        form.addParam("const", params.FloatParam, default=AUTOMATIC_STEP, expertLevel=params.LEVEL_ADVANCED,
                      label="Step (lambda)", help=f"{self._helpOn('step')}\nIn this form 1 is automatic.")  # fmt: skip
        form.addParam("K", params.FloatParam, default=0.025, expertLevel=params.LEVEL_ADVANCED,
                      label="Width of bands K (1/Å²)", help=self._helpOn("k"))  # fmt: skip
        form.addParam("Niter", params.IntParam, default=1, expertLevel=params.LEVEL_ADVANCED, label="Rounds",
                      help=f"{self._helpOn('rounds')}\nIn this form -1 is automatic.")  # fmt: skip
        self._addEngineParams(form)
        self._addRunParams(form)

    def _translated(self):
        return {
            "step": None if self.const.get() == AUTOMATIC_STEP else self.const.get(),
            "rounds": 0 if self.Niter.get() == AUTOMATIC_ROUNDS else self.Niter.get(),
        }

    def createOutputStep(self, words):
        """Register the sharpened map, or the set of those of all rounds."""
        if self.Niter.get() == 1:
            super().createOutputStep(words)
        else:
            rounds = self._createSetOfVolumes()
            reference = self.inputVolume.get()
            rounds.setSamplingRate(reference.getSamplingRate())
            for number in range(1, 1 + len(self.readReport()["summary"]["rounds"])):
                volume = Volume(location=os.path.join(self._resultFolder(), f"round_{number}.mrc"))
                volume.setSamplingRate(reference.getSamplingRate())
                volume.setOrigin(reference.getOrigin(force=True))
                rounds.append(volume)
            self._defineOutputs(outputVolumes=rounds)
            self._defineSourceRelation(self.inputVolume, rounds)
            self._defineMadeMask()

    def _sources(self):
        volumes = self._given(resolution_map=self.resolutionVolume, keep=self.keep)
        return {"map": self.inputVolume.get(), **volumes}

    def _referencePointer(self):
        return self.inputVolume

    def _missingInputs(self):
        return [] if self.inputVolume.get() is not None else ["Give the input map."]
