"""LocOccupancy, a node of its own."""

from pwem.objects import Volume, VolumeMask

from cryoresplugin.protocols.protocol_map_input import CryoresLocalMap


class CryoresProtLocOccupancy(CryoresLocalMap):
    """Local occupancy: in which share of narrow bands a place is as strong as most of the molecule.

    When it lies: it ranks places, and a complete molecule has low values too. Low is flexible, or absent in a part of
    the particles; it is no fraction of particles. Solvent in the mask takes the low ranks: give a tight mask.
    """

    _label = "LocOccupancy"
    _method = "lococcupancy"
    _localOutputs = {"occupancy_Volume": "occupancy.mrc"}
    _possibleOutputs = {"occupancy_Volume": Volume, "outputMask": VolumeMask}
