"""blocres, with the fields and the output of BsoftProtBlocres."""

from pyworkflow.protocol import params
from pyworkflow.protocol.constants import LEVEL_ADVANCED

from cryoresplugin.protocols.protocol_base import CryoresProtocol

PAD_NONE, PAD_BOX, PAD_SHELL = range(3)


class CryoresProtBlocres(CryoresProtocol):
    """Local resolution from the FSC of two half maps in a moving box.

    The box should measure 5 to 7 times the global resolution.
    """

    _label = "blocres"
    _method = "blocres"

    def _defineParams(self, form):
        form.addSection(label="Input")
        form.addParam("inputVolume", params.PointerParam, pointerClass="Volume", label="Half 1",
                      help="First half map; or a volume with its half maps attached, and Half 2 empty.")  # fmt: skip
        form.addParam("inputVolume2", params.PointerParam, pointerClass="Volume", allowsNull=True, label="Half 2")
        form.addParam("mask", params.PointerParam, pointerClass="Volume", allowsNull=True, label="Mask",
                      help="1 where the resolution is wanted. Made from the halves when not given.")  # fmt: skip
        form.addParam(
            "method", params.BooleanParam, default=True, label="Use Box", help="Radial shells are not computed yet."
        )
        form.addParam("box", params.IntParam, default=20, condition="method", label="Box",
                      help="Edge of the box in voxels; 0: 6 times the global resolution.")  # fmt: skip
        form.addParam("shell", params.IntParam, default=20, condition="not method", label="Shell")
        form.addParam(
            "cutoff", params.FloatParam, default=0.5, label="Cutoff", help="FSC at which the resolution is read."
        )
        form.addSection(label="Parameters")
        form.addParam(
            "step", params.IntParam, default=1, label="Step", help="Compute every so many voxels, interpolate between."
        )
        form.addParam("maxresolution", params.FloatParam, default=2, label="Maximum Resolution",
                      help="Finest resolution that is looked for, in Å; never beyond Nyquist.")  # fmt: skip
        form.addParam("fill", params.IntParam, allowsNull=True, label="Fill",
                      help="Kept for scripts; outside the mask the map is always 0.")  # fmt: skip
        form.addParam(
            "pad", params.EnumParam, choices=["None", "Box", "Shell"], default=PAD_BOX, label="Padding Factor"
        )
        form.addParam("symmetry", params.StringParam, default="", allowsNull=True, label="Symmetry",
                      help="Point group (C4, D2, T, O, I): only the asymmetric unit is computed.")  # fmt: skip
        form.addParam("smooth", params.BooleanParam, default=True, condition="not method", label="Smooth")
        form.addParam("firstCrossing", params.BooleanParam, default=False, expertLevel=LEVEL_ADVANCED,
                      label="Take the first crossing?",
                      help="No, as published: the last descent of the curve below the cutoff counts.")  # fmt: skip
        self._addEngineParams(form, skip=self._predecessorNames())
        self._addRunParams(form)

    @staticmethod
    def _predecessorNames():
        return ("box", "cutoff", "step", "min_resolution", "padding", "symmetry", "crossing")

    def _predecessorValues(self):
        values = (
            self.box.get() or None,
            (self.cutoff.get(),),
            self.step.get(),
            self.maxresolution.get() or None,
            0 if self.pad.get() == PAD_NONE else 1,
            self.symmetry.get() or "C1",
            "first" if self.firstCrossing.get() else "last",
        )
        return dict(zip(self._predecessorNames(), values))

    def _values(self):
        # The engine's words `box`, `step` and `cutoff` are also the predecessor's: its types go first.
        values = self._predecessorValues()
        values["mode"] = None if self.getEnumText("mode") == "automatic" else self.getEnumText("mode")
        values["taper"] = self.getEnumText("taper")
        values["edge"] = self.edge.get()
        return {name: value for name, value in values.items() if value is not None}

    def createOutputStep(self):
        """Register the resolution map, and the mask where it was made."""
        self._defineResolutionOutput()
        self._defineMaskOutput()

    def _halvesFields(self):
        return self.inputVolume2.get() is None, self.inputVolume, self.inputVolume, self.inputVolume2

    def _sources(self):
        sources = self._attachedOrPaired(*self._halvesFields())
        if self.mask.get() is not None:
            sources["mask"] = self.mask.get()
        return sources

    def _referencePointer(self):
        return self.inputVolume

    def _missingInputs(self):
        return self._missingHalves(*self._halvesFields())

    def _validate(self):
        errors = super()._validate()
        if not self.method or self.pad.get() == PAD_SHELL:
            errors.append("Radial shells are not computed yet: choose 'Use Box' and pad by None or Box.")
        return errors

    def _warnings(self):
        kept = [] if not self.fill.get() else ["Fill is not used: outside the mask the map is 0."]
        return kept + super()._warnings()
