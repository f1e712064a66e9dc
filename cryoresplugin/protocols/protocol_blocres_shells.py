"""Resolution against radius, without the fields of boxes."""

from pyworkflow.protocol import params

from cryoresplugin.protocols.protocol_base import CryoresProtocol


class CryoresProtBlocresShells(CryoresProtocol):
    """Resolution against the distance from the centre: FSC of two half maps in concentric shells, for capsids.

    The maps must be centred in their box.
    """

    _label = "resolution by radius"
    _method = "blocres-shells"

    def _defineParams(self, form):
        form.addSection(label="Input")
        self._defineHalvesParams(form)
        form.addParam("mask", params.PointerParam, pointerClass="VolumeMask", allowsNull=True, label="Mask",
                      help="What is painted. Made from the halves when not given.")  # fmt: skip
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
