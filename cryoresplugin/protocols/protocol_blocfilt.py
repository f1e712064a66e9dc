"""blocfilt, a node of its own."""

from cryoresplugin.protocols.protocol_postprocessing_base import CryoresLocalFiltering


class CryoresProtBlocfilt(CryoresLocalFiltering):
    """Low-passes a map to its local resolution in a moving box, as Bsoft's blocfilt; 0 outside the mask. The map may be
    sharpened.

    When it lies: it shows what the resolution map says. Where that is too fine, noise stays; where too coarse, density
    goes. Boxes ring beside strong density: the local low-pass does not.
    """

    _label = "blocfilt"
    _method = "blocfilt"
