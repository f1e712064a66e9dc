"""B-factor sharpening, with the fields and the output of ProtRelionPostprocess."""

from pyworkflow.protocol import params

from cryoresplugin.protocols.protocol_halves import CryoresHalves
from cryoresplugin.protocols.protocol_postprocessing_base import CryoresPostprocessing

WITH_HALVES, TWO_HALVES = range(2)


class CryoresProtPostprocess(CryoresHalves, CryoresPostprocessing):
    """Sharpens a map by one B-factor: FSC weighting, detector correction, Guinier fit, low-pass.

    One B-factor for the whole map sharpens its poor regions too much: look at the local resolution too.
    """

    _label = "post-processing"
    _method = "postprocess"
    _fields = {
        "fit_max_resolution": "bfactorLowRes",
        "fit_min_resolution": "bfactorHighRes",
        "mtf_voxel_size": "origPixelSize",
        "fsc_weighting": "skipFscWeighting",
        "low_pass": "lowRes",
        "edge": "filterEdgeWidth",
        "randomise_below": "randomizeAtFsc",
    }

    def _defineParams(self, form):
        form.addSection(label="Input")
        form.addHidden("relionInput", params.BooleanParam, default=False, label="Start from Relion refinement?",
                       help="Kept for scripts; the half maps are given as volumes.")  # fmt: skip
        form.addParam("inputType", params.EnumParam, choices=["Volume with half-maps", "Individual half-maps"],
                      default=WITH_HALVES, display=params.EnumParam.DISPLAY_HLIST, label="Input type:")  # fmt: skip
        form.addParam("inputVolume", params.PointerParam, pointerClass="Volume", allowsNull=True,
                      condition=f"inputType=={WITH_HALVES}", label="Input volume with half-maps",
                      help="Volume whose half maps are sharpened.")  # fmt: skip
        for number in (1, 2):
            form.addParam(f"inputHalf{number}", params.PointerParam, pointerClass="Volume", allowsNull=True,
                          condition=f"inputType=={TWO_HALVES}", label=f"Input half map {number}")  # fmt: skip
        form.addParam("solventMask", params.PointerParam, pointerClass="VolumeMask", allowsNull=True,
                      label="Solvent mask", help="Soft mask; made from the halves when not given.")  # fmt: skip
        self._addKeepParam(form)
        form.addParam("calibratedPixelSize", params.FloatParam, default=0, label="Calibrated pixel size (A)",
                      help="0: that of the input.")  # fmt: skip
        form.addSection(label="Sharpening")
        form.addParam("mtf", params.FileParam, allowsNull=True, label="MTF of the detector", help=self._helpOn("mtf"))
        form.addParam("origPixelSize", params.FloatParam, default=-1.0, label="Original detector pixel size (A)",
                      help=f"-1: that of the input. {self._helpOn('mtf_voxel_size')}")  # fmt: skip
        form.addParam("doAutoBfactor", params.BooleanParam, default=True, label="Estimate B-factor automatically?",
                      help="From the Guinier plot, which the report shows with the fitted range.")  # fmt: skip
        line = form.addLine("B-factor resolution (A): ", condition="doAutoBfactor",
                            help="Range of the Guinier fit. High 0: the resolution at FSC 0.143.")  # fmt: skip
        line.addParam("bfactorLowRes", params.FloatParam, default=10.0, label="low")
        line.addParam("bfactorHighRes", params.FloatParam, default=0.0, label="high")
        form.addParam("bfactor", params.FloatParam, default=-350, condition="not doAutoBfactor",
                      label="Provide B-factor:", help=self._helpOn("bfactor"))  # fmt: skip
        form.addSection(label="Filtering")
        form.addParam("skipFscWeighting", params.BooleanParam, default=False,
                      label="Skip FSC-weighting for sharpening?", help="Yes: a low-pass filter instead.")  # fmt: skip
        form.addParam("lowRes", params.FloatParam, default=5, condition="skipFscWeighting",
                      label="Ad-hoc low-pass filter (A):", help=self._helpOn("low_pass"))  # fmt: skip
        form.addParam("filterEdgeWidth", params.IntParam, default=2, expertLevel=params.LEVEL_ADVANCED,
                      label="Low-pass filter edge width:", help=self._helpOn("edge"))  # fmt: skip
        form.addParam("randomizeAtFsc", params.FloatParam, default=0.8, expertLevel=params.LEVEL_ADVANCED,
                      label="Randomize phases threshold", help=self._helpOn("randomise_below"))  # fmt: skip
        form.addParam("forceMask", params.BooleanParam, default=False, expertLevel=params.LEVEL_ADVANCED,
                      label="Force mask?", help="Kept for scripts.")  # fmt: skip
        self._addEngineParams(form)
        self._addRunParams(form)

    def _translated(self):
        return {
            "bfactor": None if self.doAutoBfactor else self.bfactor.get(),
            "fsc_weighting": not self.skipFscWeighting.get(),
            "low_pass": str(self.lowRes.get()) if self.skipFscWeighting else "none",
            "mtf_voxel_size": self.origPixelSize.get() if self.origPixelSize.get() > 0 else None,
        }

    def _samplingRate(self):
        return self.calibratedPixelSize.get() or super()._samplingRate()

    def _halvesFields(self):
        attached = self.inputType.get() == WITH_HALVES
        return attached, self.inputVolume, self.inputHalf1, self.inputHalf2

    def _sources(self):
        volumes = self._given(mask=self.solventMask, keep=self.keep)
        return {**self._attachedOrPaired(*self._halvesFields()), **volumes}
