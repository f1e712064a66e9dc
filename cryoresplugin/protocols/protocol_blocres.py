"""blocres, with the fields and the output of BsoftProtBlocres."""

from pyworkflow.protocol import params

from cryoresplugin.protocols.protocol_halves import CryoresHalves

PAD_BOX = 1


class _BoxesOrShells:
    """The engine's method, which the form chooses; for the class, and while the form is made, that of boxes."""

    def __get__(self, protocol, owner):
        return "blocres" if getattr(protocol, "method", True) else "blocres-shells"


class CryoresProtBlocres(CryoresHalves):
    """Local resolution from the FSC of two half maps in a moving box, or in shells about the centre.

    The box should measure 5 to 7 times the global resolution; shells are for capsids.
    """

    _label = "blocres"
    _method = _BoxesOrShells()
    _fields = {"min_resolution": "maxresolution", "padding": "pad", "thickness": "shell"}

    def _defineParams(self, form):
        form.addSection(label="Input")
        form.addParam("inputVolume", params.PointerParam, pointerClass="Volume", label="Half 1",
                      help="First half map; or a volume with its half maps attached, and Half 2 empty.")  # fmt: skip
        form.addParam("inputVolume2", params.PointerParam, pointerClass="Volume", allowsNull=True, label="Half 2",
                      help="Second half map; empty where Half 1 is a volume with both attached.")  # fmt: skip
        form.addParam("mask", params.PointerParam, pointerClass="Volume", allowsNull=True, label="Mask",
                      help="1 where the resolution is wanted. Made from the halves when not given.")  # fmt: skip
        form.addParam("method", params.BooleanParam, default=True, label="Use Box",
                      help="No: shells about the centre, resolution against radius.")  # fmt: skip
        form.addParam("box", params.IntParam, default=20, condition="method", label="Box",
                      help=f"0: 6 times the global resolution. {self._helpOn('box')}")  # fmt: skip
        form.addParam("shell", params.IntParam, default=20, condition="not method", label="Shell",
                      help="Thickness of a shell in voxels.")  # fmt: skip
        form.addParam("cutoff", params.FloatParam, default=0.5, label="Cutoff", help=self._helpOn("cutoff"))
        form.addSection(label="Parameters")
        form.addParam("step", params.IntParam, default=1, label="Step", help=self._helpOn("step"))
        form.addParam("maxresolution", params.FloatParam, default=2, label="Maximum Resolution",
                      help=f"0: Nyquist. {self._helpOn('min_resolution')}")  # fmt: skip
        form.addParam("fill", params.IntParam, allowsNull=True, label="Fill",
                      help="Kept for scripts; outside the mask the map is always 0.")  # fmt: skip
        form.addParam("pad", params.EnumParam, choices=["None", "Box", "Shell"], default=PAD_BOX,
                      label="Padding Factor",
                      help=f"None, Box, Shell: 0, 1, 2; shells have none. {self._helpOn('padding')}")  # fmt: skip
        form.addParam("symmetry", params.StringParam, default="", allowsNull=True, label="Symmetry",
                      help=self._helpOn("symmetry"))  # fmt: skip
        form.addParam("smooth", params.BooleanParam, default=True, condition="not method", label="Smooth",
                      help="Shells fade out to both sides; otherwise they are cut off.")  # fmt: skip
        self._addEngineParams(form)
        self._addRunParams(form)

    def _translated(self):
        return {"padding": self.pad.get()} if self.method else {}

    def _halvesFields(self):
        return self.inputVolume2.get() is None, self.inputVolume, self.inputVolume, self.inputVolume2

    def _warnings(self):
        unused = ["Fill is not used: outside the mask the map is 0."] if self.fill.get() else []
        if not self.method and self.symmetry.get():
            unused.append("Symmetry is not used: a shell holds all copies.")
        return unused + super()._warnings()
