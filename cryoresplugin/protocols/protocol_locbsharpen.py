"""LocBSharpen, a node of its own."""

from cryoresplugin.protocols.protocol_postprocessing_base import CryoresMapProcessing


class CryoresProtLocBSharpen(CryoresMapProcessing):
    """Map whose local amplitudes do not decay: a local sharpening without a B-factor.

    When it lies: noise of poor regions that exceeds the solvent's is raised too; it is weighted down, not removed.
    """

    _label = "LocBSharpen"
    _method = "locbsharpen"
