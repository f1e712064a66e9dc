"""Local-resolution maps of any protocol side by side."""

import re

from pwem.objects import Volume, VolumeMask
from pyworkflow.protocol import Protocol, params

from cryoresplugin.protocols.fields import addMap, addNames, addNoValue
from cryoresplugin.protocols.protocol_base import CryoresProtocol


class CryoresProtCompare(CryoresProtocol):
    """Compares local-resolution maps of any programs: histograms, medians, differences, agreement of regions.

    When it lies: every method defines resolution in its own way, and a shift between two is no error of either. Compare
    regions, not single voxels. Methods that agree may share their mistake.
    """

    _label = "compare local resolutions"
    _method = "compare"
    _possibleOutputs = {"spread_Volume": Volume, "outputMask": VolumeMask}

    def _defineParams(self, form):
        form.addSection(label="Input")
        form.addParam("resolutionMaps", params.MultiPointerParam, pointerClass="Volume", minNumObjects=2,
                      label="Local resolution maps", important=True,
                      help="In Å, of any protocol; differences are from the first.")  # fmt: skip
        addMap(form, "map", "The density that they belong to.")
        self._addMask(form, "mask", "Where they are compared.")
        addNames(form, "maps")
        addNoValue(form, several=True)
        self._addEngineParams(form)
        self._addRunParams(form)

    def createOutputStep(self, words):
        """Register the spread of the maps, and the mask where the engine made one."""
        self._defineVolume("spread_Volume", "spread.mrc", Volume())
        self._defineMadeMask()

    def _summaryOf(self, report):
        lines = [report["criterion"]]
        lines += [
            f"{name}: median {row['median']:.2f} Å, 5 to 95 % of voxels {row['p5']:.2f} to {row['p95']:.2f} Å"
            for name, row in report["summary"]["maps"].items()
        ]
        for pair in report["summary"]["pairs"]:
            if pair["window_rank"] is not None:
                lines.append(
                    f"{pair['first']} and {pair['second']}: shift {pair['shift']:+.2f} Å, rank correlation "
                    f"{pair['window_rank']:.2f} over {report['summary']['window']:.0f} Å"
                )
        return lines

    def _sources(self):
        return self._given(map=self.map, mask=self.mask)

    def _namedMaps(self):
        return namesOfMaps(self.names, self.resolutionMaps)

    def _backgrounds(self):
        return re.split(r"[\s,]+", self.background.get("auto").strip())

    def _referencePointer(self):
        return self.map

    def _missingInputs(self):
        if self.map.get() is None:
            return ["Give the map that the local resolutions belong to."]
        if any(pointer.get() is None for pointer in self.resolutionMaps) or self.resolutionMaps.getSize() < 2:
            return ["Give two local resolutions or more."]
        if len(self._namedMaps()) < self.resolutionMaps.getSize():
            return ["Give one name for each local resolution, all different."]
        return []


def namesOfMaps(words, pointers):
    """Return name -> volume of several pointers: as the field ``words`` calls them, or as their runs are called."""
    given = [word.strip() for word in words.get("").split(",") if word.strip()]
    names = given or _distinct([_nameOf(pointer) for pointer in pointers])
    return dict(zip(names, (pointer.get() for pointer in pointers)))


def _nameOf(pointer):
    owner = pointer.getObjValue()
    label = owner.getObjLabel() if isinstance(owner, Protocol) else ""
    return (label or pointer.get().getObjLabel() or "map").lstrip("-")


def _distinct(names):
    """Return the names, numbered where several are the same."""
    return [name if names.count(name) == 1 else f"{name} {n}" for n, name in enumerate(names, 1)]
