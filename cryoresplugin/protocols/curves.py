"""Curves over the frequency as an output: what the protocols of FSC and FSO share."""

import os

from pwem.objects import FSC


class CurvesOutput:
    """Reads a table of the engine and registers its curves."""

    def _readCurves(self, table, wanted):
        """Return name -> (frequencies in 1/Å, values) of the columns ``wanted`` of a table."""
        with open(os.path.join(self._resultFolder(), table), encoding="utf-8") as file:
            names = file.readline().strip().split(",")
            rows = [
                [float(word) if word else float("nan") for word in line.split(",")] for line in file if line.strip()
            ]
        columns = dict(zip(names, zip(*rows)))
        frequency = columns[names[0]]
        # Shell 0 holds the mean density, and has no resolution.
        return {n: (frequency[1:], c[1:]) for n, c in columns.items() if n in wanted}

    def _defineCurves(self, curves):
        """Register name -> (frequencies in 1/Å, values) as ``outputFSCs``."""
        made = self._createSetOfFSCs()
        for name, (frequency, values) in curves.items():
            curve = FSC()
            curve.setObjLabel(name)
            curve.setData(list(frequency), list(values))
            made.append(curve)
        self._defineOutputs(outputFSCs=made)
        self._defineSourceRelation(self._referencePointer(), made)
