"""A processed map judged by an atomic model and by half maps."""

import csv
import os
import shutil

from pwem.convert.atom_struct import NAME, RECIP, SPEC, VALUE
from pwem.objects import AtomStruct, Volume

from cryoresplugin.protocols.fields import addAttachedQuestion, addHalfMaps, addMap, addModel
from cryoresplugin.protocols.protocol_base import CryoresProtocol

ROWS = (
    ("masked_model_fsc_0.5", "Map-model FSC at 0.5", "{:.2f} Å"),
    ("cc_mask", "CC_mask", "{:.3f}"),
    ("q_score", "Q-score", "{:.3f}"),
    ("expected_q_score", "Q-score that is usual at this resolution", "{:.3f}"),
    ("local_resolution", "Local resolution against the model, median", "{:.2f} Å"),
    ("half_fsc_0.143", "FSC of half 1 with raw half 2 at 0.143", "{:.2f} Å"),
    ("half_signal", "Correlation of half 1 with the true signal", "{:.3f}"),
)
"""Measures that the summary shows: name in the report, words, how it is written."""


ATTRIBUTES = ("q_score", "cc", "local_resolution")
"""Columns of the engine's table of residues that the output model has as attributes."""


class CryoresProtEvaluate(CryoresProtocol):
    """Judges a processed map by an atomic model, before and after: map-model FSC, CC, Q-scores, local resolution. With
    what the same processing makes of half 1 alone, also by half 2: was something found, or invented?

    When it lies: a model was built into some map, and that map scores well. Networks and thresholds make peaks as sharp
    as atoms without new data: trust the half maps.
    """

    _label = "evaluate a processed map"
    _method = "evaluate"
    _OUTNAME, _ATTRNAME = "outputAtomStruct", ATTRIBUTES[0]
    _possibleOutputs = {"outputAtomStruct": AtomStruct, "resolution_Volume": Volume}

    def _defineParams(self, form):
        form.addSection(label="Input")
        addMap(form, "map", "The map that is judged: sharpened, filtered or enhanced.", label="Processed map")
        addModel(form, "model", "Hydrogens are left out. Without a model, half maps judge.")
        addMap(form, "before", "What it was made from: every measure is taken before and after.", label="Map before",
               important=False)  # fmt: skip
        form.addSection(label="Half maps")
        addMap(form, "processedHalf1", "What the same processing makes of half map 1 alone. It is compared with half "
               "map 2 as it is: was something found, or invented?", label="Processed half map 1",
               important=False)  # fmt: skip
        addAttachedQuestion(form, "halvesAttached")
        addHalfMaps(form, ("rawHalf1", "rawHalf2"), condition="not halvesAttached")
        form.addSection(label="Parameters")
        self._addEngineParams(form)
        self._addRunParams(form)

    def createOutputStep(self, words):
        """Register the model with its Q-scores and the local resolution against it; without one, that of the halves."""
        if self.model.get() is None:
            self._defineVolume("resolution_Volume", "half_resolution.mrc", Volume())
            return
        model = AtomStruct(filename=self._withAttributes("qscores.cif", "residues.csv"))
        self._defineOutputs(outputAtomStruct=model)
        self._defineSourceRelation(self.model, model)
        self._defineVolume("resolution_Volume", "resolution.mrc", Volume())

    def _withAttributes(self, model, residues):
        """Return the engine's model with the values of its residues as attributes, which Scipion's viewer shows."""
        with open(os.path.join(self._resultFolder(), residues), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        written = self._getExtraPath("residues.cif")
        shutil.copyfile(os.path.join(self._resultFolder(), model), written)
        with open(written, "a", encoding="utf-8") as file:
            print("\nloop_", NAME, RECIP, SPEC, VALUE, sep="\n", file=file)
            for name in ATTRIBUTES:
                for row in rows:
                    if row[name]:
                        print(name, "residues", f"{row['chain']}:{row['number']}", row[name], file=file)
        return written

    def _summaryOf(self, report):
        lines = [report["criterion"]]
        measures = report["summary"]["measures"]
        for name, words, text in ROWS:
            row = measures.get(name, {})
            values = [text.format(row[side]) for side in ("before", "after") if row.get(side) is not None]
            if values:
                lines.append(f"{words}: {' -> '.join(values)}")
        return lines

    def _rawHalves(self):
        """Return role -> half map, of the map before or given; empty where there are none."""
        if not self.halvesAttached:
            return self._given(raw_half1=self.rawHalf1, raw_half2=self.rawHalf2)
        halves = (self.before.get().getHalfMaps(asList=True) or []) if self.before.get() is not None else []
        return dict(zip(("raw_half1", "raw_half2"), halves)) if len(halves) == 2 else {}

    def _sources(self):
        given = self._given(map=self.map, before=self.before, processed_half1=self.processedHalf1)
        return {**given, **self._rawHalves()}

    def _models(self):
        return self._given(model=self.model)

    def _referencePointer(self):
        return self.map

    def _missingInputs(self):
        if self.map.get() is None:
            return ["Give the processed map."]
        if self.model.get() is None and self.processedHalf1.get() is None:
            return ["Give an atomic model, or what the processing makes of half map 1."]
        if self.processedHalf1.get() is not None and len(self._rawHalves()) < 2:
            return ["Give the two raw half maps, or a map before that has them attached."]
        return []
