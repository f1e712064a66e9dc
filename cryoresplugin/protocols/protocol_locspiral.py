"""LocSpiral, a node of its own."""

from cryoresplugin.protocols.protocol_postprocessing_base import CryoresMapProcessing


class CryoresProtLocSpiral(CryoresMapProcessing):
    """Map of equal local amplitudes: weak regions become as visible as strong ones.

    When it lies: heights are significance, not density; do not read occupancy from them. Density outside the mask is
    taken for solvent, which hides what is weak.
    """

    _label = "LocSpiral"
    _method = "locspiral"
