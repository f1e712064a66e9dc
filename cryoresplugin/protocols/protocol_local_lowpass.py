"""The local low-pass, a node of its own."""

from cryoresplugin.protocols.protocol_postprocessing_base import CryoresLocalFiltering


class CryoresProtLocalLowpass(CryoresLocalFiltering):
    """Low-passes a map or a tomogram at every voxel to its local resolution, also outside the mask. The map may be
    sharpened.

    When it lies: it shows what the resolution map says. Where that is too fine, noise stays; where too coarse, density
    goes. Its result is no input for methods that measure noise.
    """

    _label = "local low-pass"
    _method = "local-lowpass"
