"""blocres, with the fields and the output of BsoftProtBlocres."""

from pyworkflow.protocol import params

from cryoresplugin.protocols.fields import LABELS, addMap
from cryoresplugin.protocols.protocol_halves import CryoresHalves

PAD_BOX = 1


class _BoxesOrShells:
    """The engine's method, which the form chooses; for the class, and while the form is made, that of boxes."""

    def __get__(self, protocol, owner):
        return "blocres" if getattr(protocol, "method", True) else "blocres-shells"


class CryoresProtBlocres(CryoresHalves):
    """Local resolution from the FSC of two half maps in a moving box, or in shells about the centre.

    When it lies: a box mixes what is in it, so that values next to a border lie in between. It should measure 5 to 7
    times the global resolution. Half maps that were masked or filtered together agree too well.
    """

    _label = "blocres"
    _method = _BoxesOrShells()
    _fields = {"min_resolution": "maxresolution", "padding": "pad", "thickness": "shell"}

    def _defineParams(self, form):
        form.addSection(label="Input")
        addMap(form, "inputVolume", "First half map; or a volume with its half maps attached, and half map 2 empty.",
               label="Half map 1")  # fmt: skip
        addMap(form, "inputVolume2", "Second half map; empty where half map 1 is a volume with both attached.",
               label="Half map 2", important=False)  # fmt: skip
        self._addMask(form, "mask", "Where the resolution is wanted.", pointerClass="Volume")
        form.addParam("method", params.BooleanParam, default=True, label="Use boxes?",
                      help="Yes: a box about every voxel. No: shells about the centre, resolution against radius, "
                      "for capsids.")  # fmt: skip
        form.addParam("box", params.IntParam, default=20, condition="method", label="Box (voxels)",
                      help=f"{self._helpOn('box')}\n0 is 6 times the global resolution.")  # fmt: skip
        form.addParam("shell", params.IntParam, default=20, condition="not method",
                      label="Thickness of a shell (voxels)",
                      help="Thin shells blur frequencies by about 2 / thickness. Recommended: 20.")  # fmt: skip
        form.addParam("cutoff", params.FloatParam, default=0.5, label=LABELS["cutoff"], help=self._helpOn("cutoff"))
        form.addSection(label="Parameters")
        form.addParam("step", params.IntParam, default=1, label="Step (voxels)", help=self._helpOn("step"))
        form.addParam("maxresolution", params.FloatParam, default=2, label=f"{LABELS['min_resolution']} (Å)",
                      help=f"{self._helpOn('min_resolution')}\n0, or finer than Nyquist: Nyquist.")  # fmt: skip
        form.addParam("fill", params.IntParam, allowsNull=True, label="Fill", expertLevel=params.LEVEL_ADVANCED,
                      help="Kept for scripts; outside the mask the map is always 0.")  # fmt: skip
        form.addParam("pad", params.EnumParam, choices=["None", "Box", "Shell"], default=PAD_BOX, label="Padding",
                      help=f"None, Box, Shell: 0, 1, 2; shells have none.\n{self._helpOn('padding')}")  # fmt: skip
        form.addParam("symmetry", params.StringParam, default="", allowsNull=True, label="Symmetry", condition="method",
                      help=self._helpOn("symmetry"))  # fmt: skip
        form.addParam("smooth", params.BooleanParam, default=True, condition="not method", label="Smooth shells?",
                      help="Yes (recommended): shells fade out to both sides. No: they are cut off.")  # fmt: skip
        self._addEngineParams(form)
        self._addRunParams(form)

    def _translated(self):
        finest, first = self.maxresolution.get(), self.inputVolume.get()
        # The predecessor's 2 Å lies beyond Nyquist for most maps: nobody asked for what is not there.
        beyond = first is not None and finest is not None and finest < 2.0 * first.getSamplingRate()
        open_end = {"min_resolution": None} if beyond else {}
        return {**open_end, **({"padding": self.pad.get()} if self.method else {})}

    def _halvesFields(self):
        return self.inputVolume2.get() is None, self.inputVolume, self.inputVolume, self.inputVolume2

    def _warnings(self):
        unused = ["Fill is not used: outside the mask the map is 0."] if self.fill.get() else []
        if not self.method and self.symmetry.get():
            unused.append("Symmetry is not used: a shell holds all copies.")
        return unused + super()._warnings()
