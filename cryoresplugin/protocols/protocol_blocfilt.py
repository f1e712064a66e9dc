"""blocfilt, a node of its own."""

from cryoresplugin.protocols.protocol_postprocessing_base import CryoresLocalFiltering


class CryoresProtBlocfilt(CryoresLocalFiltering):
    """Low-passes a map to its local resolution in a moving box, as Bsoft's blocfilt.

    Outside the mask the map is 0. The map may be sharpened.
    """

    _label = "blocfilt"
    _method = "blocfilt"
