"""Local resolution as in RELION, for comparison, without RELION."""

from pyworkflow.protocol import params

from cryoresplugin.protocols.protocol_base import CryoresProtocol


class CryoresProtRelionLocres(CryoresProtocol):
    """Local resolution from the corrected FSC under a soft sphere that is moved over a coarse grid.

    It blurs what is local over the size of a sphere; its ranking of regions is good, its values lie near the best.
    """

    _label = "local resolution as RELION"
    _method = "relion-locres"

    def _defineParams(self, form):
        form.addSection(label="Input")
        self._defineHalvesParams(form)
        form.addParam("mask", params.PointerParam, pointerClass="VolumeMask", allowsNull=True, label="Mask",
                      help="Where the resolution is wanted. Made from the halves when not given.")  # fmt: skip
        self._addEngineParams(form)
        self._addRunParams(form)

    def _halvesFields(self):
        return self.halvesAttached.get(), self.inputVolume, self.half1, self.half2

    def _sources(self):
        return {**self._attachedOrPaired(*self._halvesFields()), **self._given(mask=self.mask)}

    def _referencePointer(self):
        return self.inputVolume if self.halvesAttached else self.half1

    def _missingInputs(self):
        return self._missingHalves(*self._halvesFields())
