"""Two half maps, stored with a volume or given by themselves, and a mask: what protocols that compare halves take."""

from cryoresplugin.protocols.fields import addAttachedQuestion, addHalfMaps, addWithHalves
from cryoresplugin.protocols.protocol_base import CryoresProtocol


class CryoresHalves(CryoresProtocol):
    """Base of the protocols that compare two half maps; its form is that of the new ones.

    A predecessor's form has fields of its own: its protocol defines them, and says in ``_halvesFields`` which they are.
    """

    _maskMeans = "Where the resolution is wanted."
    """What the mask is to the method."""

    def _defineParams(self, form):
        form.addSection(label="Input")
        addAttachedQuestion(form, "halvesAttached")
        addWithHalves(form, "inputVolume", condition="halvesAttached")
        addHalfMaps(form, ("half1", "half2"), condition="not halvesAttached")
        self._addMask(form, "mask", self._maskMeans)
        self._addFurtherInputs(form)
        self._addEngineParams(form)
        self._addRunParams(form)

    def _addFurtherInputs(self, form):
        """Add what the method takes beside the half maps and the mask."""

    def _halvesFields(self):
        """Return whether the half maps are stored with a volume, the pointer to it, and those to two half maps."""
        return self.halvesAttached.get(), self.inputVolume, self.half1, self.half2

    def _sources(self):
        return {**self._attachedOrPaired(*self._halvesFields()), **self._given(mask=self.mask)}

    def _referencePointer(self):
        attached, whole, half1, _ = self._halvesFields()
        return whole if attached else half1

    def _missingInputs(self):
        return self._missingHalves(*self._halvesFields())
