"""The local low-pass, a node of its own."""

from cryoresplugin.protocols.protocol_postprocessing_base import CryoresLocalFiltering


class CryoresProtLocalLowpass(CryoresLocalFiltering):
    """Low-passes a map or a tomogram at every voxel to its local resolution.

    The whole map is filtered, also outside the mask. The map may be sharpened.
    """

    _label = "local low-pass"
    _method = "local-lowpass"
