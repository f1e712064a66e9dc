"""Local resolution as in RELION, for comparison, without RELION."""

from cryoresplugin.protocols.protocol_halves import CryoresHalves


class CryoresProtRelionLocres(CryoresHalves):
    """Local resolution from the corrected FSC under a soft sphere that is moved over a coarse grid.

    When it lies: it blurs what is local over the size of a sphere. Its ranking of regions is good, but a small domain
    gets the resolution of its best neighbour.
    """

    _label = "RELION locres"
    _method = "relion-locres"
