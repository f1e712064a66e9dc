"""AutoSharpen, a node of its own."""

from pyworkflow.protocol import params

from cryoresplugin.protocols.protocol_postprocessing_base import CryoresMapProcessing


class CryoresProtAutoSharpen(CryoresMapProcessing):
    """Sharpens a map by the B-factor that shows most detail in fewest pieces.

    One B-factor for the whole map: regions of different resolution want different ones.
    """

    _label = "AutoSharpen"
    _method = "autosharpen"

    def _addFurtherInputs(self, form):
        form.addParam(
            "model", params.PointerParam, pointerClass="AtomStruct", allowsNull=True, label="Atomic model",
            help="Fitted into the map: its amplitudes are those of the variant 'model'.",
        )  # fmt: skip
        super()._addFurtherInputs(form)

    def _models(self):
        return self._given(model=self.model)
