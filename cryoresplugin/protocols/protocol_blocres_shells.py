"""Resolution against radius, without the fields of boxes."""

from cryoresplugin.protocols.protocol_halves import CryoresHalves


class CryoresProtBlocresShells(CryoresHalves):
    """Resolution against the distance from the centre: FSC of two half maps in concentric shells, for capsids.

    The maps must be centred in their box.
    """

    _label = "resolution by radius"
    _method = "blocres-shells"
    _maskHelp = "What is painted. Made from the halves when not given."
