"""LocOccupancy, a node of its own."""

from pwem.objects import Volume, VolumeMask

from cryoresplugin.protocols.protocol_map_input import CryoresLocalMap


class CryoresProtLocOccupancy(CryoresLocalMap):
    """Local occupancy: in which share of narrow bands a place is as strong as most of the molecule.

    It ranks places: low values are flexible, or absent in a part of the particles. It is no fraction of particles.
    """

    _label = "LocOccupancy"
    _method = "lococcupancy"
    _localOutputs = {"occupancy_Volume": "occupancy.mrc"}
    _possibleOutputs = {"occupancy_Volume": Volume, "outputMask": VolumeMask}
