"""Local resolution as in RELION, for comparison, without RELION."""

from cryoresplugin.protocols.protocol_halves import CryoresHalves


class CryoresProtRelionLocres(CryoresHalves):
    """Local resolution from the corrected FSC under a soft sphere that is moved over a coarse grid.

    It blurs what is local over the size of a sphere; its ranking of regions is good, its values lie near the best.
    """

    _label = "local resolution as RELION"
    _method = "relion-locres"
    _maskHelp = "Where the resolution is wanted. Made from the halves when not given."
