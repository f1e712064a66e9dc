"""Two half maps, stored with a volume or given by themselves, and a mask: what protocols that compare halves take."""

from pyworkflow.protocol import params

from cryoresplugin.protocols.protocol_base import CryoresProtocol


class CryoresHalves(CryoresProtocol):
    """Base of the protocols that compare two half maps; its form is that of the new ones.

    A predecessor's form has fields of its own: its protocol defines them, and says in ``_halvesFields`` which they are.
    """

    _maskHelp = None
    """What the mask is to the method."""

    def _defineParams(self, form):
        form.addSection(label="Input")
        form.addParam(
            "halvesAttached", params.BooleanParam, default=True, label="Are the half maps stored with the volume?",
            help="Yes: give the volume, its half maps are found. No: give the two half maps.",
        )  # fmt: skip
        form.addParam(
            "inputVolume", params.PointerParam, pointerClass="Volume", condition="halvesAttached", allowsNull=True,
            label="Input Half Maps", help="Volume whose half maps are compared.",
        )  # fmt: skip
        for number in (1, 2):
            form.addParam(
                f"half{number}", params.PointerParam, pointerClass="Volume", condition="not halvesAttached",
                allowsNull=True, label=f"Half Map {number}",
            )  # fmt: skip
        form.addParam(
            "mask", params.PointerParam, pointerClass="VolumeMask", allowsNull=True, label="Mask", help=self._maskHelp
        )
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
