"""Resolution against radius, without the fields of boxes."""

from pyworkflow.protocol import params

from cryoresplugin.protocols.protocol_halves import CryoresHalves


class CryoresProtBlocresShells(CryoresHalves):
    """Resolution against the distance from the centre: FSC of two half maps in concentric shells, for capsids.

    When it lies: a shell mixes good and bad parts at one radius, thin shells read coarse regions too fine, and a
    particle that is not centred in its box is cut by the wrong shells.
    """

    _label = "resolution by radius"
    _method = "blocres-shells"
    _maskMeans = "Where the resolution of each radius is painted."

    def _addFurtherInputs(self, form):
        form.addParam("smooth", params.BooleanParam, default=True, label="Smooth shells?", help=self._helpOn("smooth"))
