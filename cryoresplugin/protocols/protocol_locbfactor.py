"""LocBFactor, a node of its own."""

from pwem.objects import Volume, VolumeMask

from cryoresplugin.protocols.protocol_map_input import CryoresLocalMap


class CryoresProtLocBFactor(CryoresLocalMap):
    """Local B-factor: a Guinier fit in every voxel. Negative where amplitudes decay; strongly so where atoms move.

    When it lies: noise does not decay, and flattens the line where the map is poor. Compare regions; do not read the
    B-factors of atoms from it.
    """

    _label = "LocBFactor"
    _method = "locbfactor"
    _localOutputs = {"bfactor_Volume": "bfactor.mrc", "amplitude_Volume": "amplitude.mrc"}
    _possibleOutputs = {**dict.fromkeys(_localOutputs, Volume), "outputMask": VolumeMask}
