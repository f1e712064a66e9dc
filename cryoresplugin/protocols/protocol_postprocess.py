"""B-factor sharpening, with the fields and the output of ProtRelionPostprocess."""

from pyworkflow.protocol import params

from cryoresplugin.protocols.fields import LABELS, addHalfMaps, addWithHalves
from cryoresplugin.protocols.protocol_halves import CryoresHalves
from cryoresplugin.protocols.protocol_postprocessing_base import CryoresPostprocessing

WITH_HALVES, TWO_HALVES = range(2)


class CryoresProtPostprocess(CryoresHalves, CryoresPostprocessing):
    """Sharpens a map by one B-factor: FSC weighting, detector correction, Guinier fit, low-pass.

    When it lies: one B-factor for the whole map sharpens its poor regions too much; look at the local resolution too.
    Coarser than about 8 Å there is no line to fit.
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
        form.addParam("inputType", params.EnumParam, choices=["Volume with half maps", "Two half maps"],
                      default=WITH_HALVES, label="Input",
                      help="The half maps come with a volume, or apart.")  # fmt: skip
        addWithHalves(form, "inputVolume", condition=f"inputType=={WITH_HALVES}")
        addHalfMaps(form, ("inputHalf1", "inputHalf2"), condition=f"inputType=={TWO_HALVES}")
        self._addMask(form, "solventMask", "The FSC is that of the masked half maps; the output is not masked. With a "
                      "soft edge, and not tight.")  # fmt: skip
        self._addKeepParam(form)
        form.addParam("calibratedPixelSize", params.FloatParam, default=0, label="Calibrated voxel size (Å)",
                      help="0 (recommended): that of the input.")  # fmt: skip
        form.addSection(label="Sharpening")
        form.addParam("mtf", params.FileParam, allowsNull=True, label="MTF of the detector", help=self._helpOn("mtf"))
        form.addParam("origPixelSize", params.FloatParam, default=-1.0, label="Pixel size of the detector's images (Å)",
                      help=f"{self._helpOn('mtf_voxel_size')}\n-1: that of the input.")  # fmt: skip
        form.addParam("doAutoBfactor", params.BooleanParam, default=True, label="Estimate the B-factor?",
                      help="Yes (recommended): from the Guinier plot; the report shows it with the range.")  # fmt: skip
        line = form.addLine("Range of the Guinier fit (Å)", condition="doAutoBfactor",
                            help="High 0 (recommended): the resolution at FSC 0.143. Low: 10, above which the shape "
                            "of the molecule shows.")  # fmt: skip
        line.addParam("bfactorLowRes", params.FloatParam, default=10.0, label="Low",
                      help=self._helpOn("fit_max_resolution"))  # fmt: skip
        line.addParam("bfactorHighRes", params.FloatParam, default=0.0, label="High",
                      help=self._helpOn("fit_min_resolution"))  # fmt: skip
        form.addParam("bfactor", params.FloatParam, default=-350, condition="not doAutoBfactor",
                      label="B-factor (Å²)",
                      help="Negative sharpens, 0 leaves the amplitudes as they are.\nRecommended: that of the Guinier "
                      "plot; usual are -50 to -200.\nAt the command line: --bfactor.")  # fmt: skip
        form.addSection(label="Filtering")
        form.addParam("skipFscWeighting", params.BooleanParam, default=False,
                      label="Skip the FSC weighting?",
                      help="Yes: a low-pass filter instead. Recommended: no.")  # fmt: skip
        form.addParam("lowRes", params.FloatParam, default=5, condition="skipFscWeighting",
                      label="Low-pass filter (Å)",
                      help="Resolution beyond which nothing is left. Recommended: that of the FSC at 0.143.\n"
                      "At the command line: --low-pass.")  # fmt: skip
        form.addParam("filterEdgeWidth", params.IntParam, default=2, expertLevel=params.LEVEL_ADVANCED,
                      label="Edge of the low-pass (shells)", help=self._helpOn("edge"))  # fmt: skip
        form.addParam("randomizeAtFsc", params.FloatParam, default=0.8, expertLevel=params.LEVEL_ADVANCED,
                      label=LABELS["randomise_below"], help=self._helpOn("randomise_below"))  # fmt: skip
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
