"""AutoSharpen, a node of its own."""

from cryoresplugin.protocols.fields import addModel
from cryoresplugin.protocols.protocol_postprocessing_base import CryoresMapProcessing


class CryoresProtAutoSharpen(CryoresMapProcessing):
    """Sharpens a map by the B-factor that shows most detail in fewest pieces.

    When it lies: one B-factor serves the whole map, and regions of different resolution want different ones. A wide
    mask lowers the contour on which the detail is counted.
    """

    _label = "AutoSharpen"
    _method = "autosharpen"

    def _addFurtherInputs(self, form):
        addModel(form, "model", "Its amplitudes are those of the variant 'model'.")
        super()._addFurtherInputs(form)

    def _models(self):
        return self._given(model=self.model)
