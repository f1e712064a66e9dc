"""Wizards that measure the half maps which the form points to, and fill in what follows from their global FSC."""

import math

from pwem.wizards import EmWizard

from cryores.errors import CryoresError
from cryores.execution import available_threads
from cryores.mapio import read_half_maps, read_map
from cryores.masks import automatic_mask
from cryores.resolution.blocres import automatic_box
from cryores.shell_correlation import uncorrected_resolution
from cryoresplugin.protocols import (
    CryoresProtAutoSharpen,
    CryoresProtBlocfilt,
    CryoresProtBlocres,
    CryoresProtBlocresShells,
    CryoresProtLocBFactor,
    CryoresProtLocBSharpen,
    CryoresProtLocSpiral,
    CryoresProtMonoDir,
    CryoresProtMonoRes,
    CryoresProtResMap,
)

FINER = 0.5
"""A place may be so much finer than the whole map, as a share of the global resolution in Å."""

COARSER, COARSEST = 5.0, 10.0
"""It may be so many times as coarse, and the range ends at this (Å) or coarser."""


def measuredHalves(protocol):
    """Return the half maps of a form's protocol and their resolution at FSC 0.143 in Å (None: below it everywhere).

    Under the mask of the form, or the one that the methods make.

    Raises
    ------
    CryoresError
        If the maps cannot be read or measured.
    ValueError
        If the form does not name half maps that can be read here, in words for the user.
    """
    missing = protocol._missingInputs() or protocol._gridErrors()
    if missing:
        raise ValueError("\n".join(missing))
    if protocol._conversions():
        raise ValueError("The wizard reads MRC and CCP4 files only. Leave the field open: the run chooses.")
    files = protocol._engineFiles()
    if "half1" not in files:
        raise ValueError("One map has no FSC: the wizard needs half maps. Leave the field open: the run chooses.")
    halves = read_half_maps(files["half1"], files["half2"], protocol._samplingRate())
    threads = available_threads()
    mask = read_map(files["mask"], protocol._samplingRate()) if "mask" in files else automatic_mask(halves, threads)
    return halves, uncorrected_resolution(halves, mask, threads)


def rangeToTest(grid, overall):
    """Return the finest and the coarsest resolution (Å) worth testing in maps whose global resolution is known."""
    box = max(n * v for n, v in zip(grid.shape, grid.voxel_size))
    finest = max(grid.nyquist, FINER * overall)
    coarsest = max(min(max(COARSEST, COARSER * overall), box / 4), 2 * grid.nyquist)
    return math.ceil(10 * finest) / 10, math.ceil(10 * coarsest) / 10


class _MeasuringWizard(EmWizard):
    """Measures the half maps, and sets the fields; what it cannot do it says."""

    def show(self, form, *params):
        """Fill in the fields of the form, or tell why not."""
        try:
            halves, overall = measuredHalves(form.protocol)
        except (CryoresError, ValueError) as error:
            form.showError(str(error))
            return
        if overall is None:
            form.showError("The FSC of the half maps is below 0.143 everywhere: they share no signal.")
            return
        for field, value in self._values(form.protocol, halves.grid, overall).items():
            form.setVar(field, value)

    def _values(self, protocol, grid, overall):
        """Return field -> value that follows from the global resolution (Å)."""
        raise NotImplementedError


class CryoresRangeWizard(_MeasuringWizard):
    """Resolution range: from half the global resolution, or Nyquist, to five times it."""

    _fields = {
        CryoresProtMonoRes: ("minRes", "maxRes"),
        CryoresProtMonoDir: ("minResolution", "maxResolution"),
        CryoresProtResMap: ("minRes", "maxRes"),
        CryoresProtBlocres: ("maxresolution",),
        CryoresProtBlocresShells: ("minResolution",),
    }
    _targets = [(protocol, list(names)) for protocol, names in _fields.items()]

    def _values(self, protocol, grid, overall):
        return dict(zip(self._fields[type(protocol)], rangeToTest(grid, overall)))


class CryoresGlobalResolutionWizard(_MeasuringWizard):
    """Finest resolution of a processing: where the FSC of the half maps falls to 0.143."""

    _fields = {
        CryoresProtLocSpiral: "minResolution",
        CryoresProtLocBSharpen: "minResolution",
        CryoresProtLocBFactor: "minResolution",
        CryoresProtAutoSharpen: "resolution",
    }
    _targets = [(protocol, [name]) for protocol, name in _fields.items()]

    def _values(self, protocol, grid, overall):
        return {self._fields[type(protocol)]: round(overall, 2)}


class CryoresBoxWizard(_MeasuringWizard):
    """Box of a moving window: six times the global resolution."""

    _targets = [(CryoresProtBlocres, ["box"]), (CryoresProtBlocfilt, ["box"])]

    def _values(self, protocol, grid, overall):
        return {"box": automatic_box(overall, grid)}
