"""MonoTomo, with the fields and the output of XmippProtMonoTomo. It needs the plugin scipion-em-tomo."""

import os
from collections import namedtuple

from pwem.emlib.image import ImageHandler
from pyworkflow.object import Float, Set
from pyworkflow.protocol import params
from pyworkflow.protocol.constants import LEVEL_ADVANCED, STATUS_NEW
from tomo.objects import SetOfTomograms, Tomogram
from tomo.protocols import ProtTomoBase

from cryores.cli.method_inputs import read_inputs
from cryores.execution import Execution
from cryores.method import load_method
from cryoresplugin.protocols.fields import RANGE, addMask
from cryoresplugin.protocols.protocol_base import LARGEST_DIAGNOSED, READABLE, CryoresProtocol

OUTPUT = "outputLocalResolutionSetOfTomograms"

Pair = namedtuple("Pair", "name id shape half1 half2")
"""One tomogram: its name (the tilt series, where it has one), its id in the set, (x, y, z), and its two halves."""


class CryoresProtMonoTomo(CryoresProtocol, ProtTomoBase):
    """Local resolution of tomograms, where their monogenic signal rises above the noise around. Every tomogram needs
    two halves, reconstructed in the same way from odd and even frames (or images). Sets that still grow are followed.

    When it lies: halves that share anything but the sample (a denoised tomogram) agree too well, and the missing wedge
    is in both: the value holds for the directions that there are.
    """

    _label = "MonoTomo"
    _method = "monotomo"
    _fields = {"min_resolution": "minRes", "max_resolution": "maxRes", "resolution_step": "stepSize"}
    _possibleOutputs = {OUTPUT: SetOfTomograms}

    def _defineParams(self, form):
        form.addSection(label="Input")
        form.addParam("useAssociatedOddEven", params.BooleanParam, default=True,
                      label="Are the halves stored with the tomograms?",
                      help="Yes: give the tomograms. No: give the two sets of halves, odd and even.")  # fmt: skip
        form.addParam("tomo", params.PointerParam, pointerClass="SetOfTomograms", allowsNull=True,
                      condition="useAssociatedOddEven", label="Tomograms", important=True,
                      help="Tomograms that were imported or reconstructed with their halves.")  # fmt: skip
        for name, label in (("odd", "Odd halves"), ("even", "Even halves")):
            form.addParam(f"{name}Tomograms", params.PointerParam, pointerClass="SetOfTomograms", allowsNull=True,
                          condition="not useAssociatedOddEven", label=label, important=True,
                          help=f"Tomograms of the {name} frames. Halves are paired by tilt series.")  # fmt: skip
        form.addParam("useMask", params.BooleanParam, default=False, label="Use a mask?",
                      help="It says where the resolution is measured; the noise is measured everywhere.")  # fmt: skip
        addMask(form, "Mask", "Where the resolution is measured.", condition="useMask",
                otherwise="answer no to the question above")  # fmt: skip
        group = form.addGroup("Parameters")
        low = self._helpOn("max_resolution")
        line = group.addLine(RANGE, help=f"High: {self._helpOn('min_resolution')}\n\nLow: {low}")
        line.addParam("minRes", params.FloatParam, default=0, label="High", help=self._helpOn("min_resolution"))
        line.addParam("maxRes", params.FloatParam, allowsNull=True, label="Low", help=low)
        line.addParam("stepSize", params.FloatParam, default=0.5, allowsNull=True, expertLevel=LEVEL_ADVANCED,
                      label="Step", help=self._helpOn("resolution_step"))  # fmt: skip
        group.addParam("significance", params.FloatParam, default=0.95, expertLevel=LEVEL_ADVANCED,
                       label="Significance", help=self._helpOn("significance"))  # fmt: skip
        self._addEngineParams(form)
        self._addRunParams(form)

    # --------------------------- STEPS ----------------------------------------

    def _insertAllSteps(self):
        self._inserted = set()
        pairs = self._insertNewTomograms()
        words = [self._wordsOf(pair) for pair in pairs]
        # Of sets that grow, the last step waits until no more tomograms come.
        self._insertFunctionStep(self.createOutputStep, words, wait=self._isGrowing(), needsGPU=False)

    def _insertNewTomograms(self):
        """Insert a step for every tomogram that has none yet; return these."""
        new = [pair for pair in self._pairs() if pair.name not in self._inserted]
        for pair in new:
            self._inserted.add(pair.name)
            self._insertFunctionStep(
                self.tomogramStep, pair.name, self._wordsOf(pair), prerequisites=[], needsGPU=self.useGpu.get()
            )
        return new

    def _stepsCheck(self):
        """Follow sets that grow: Scipion calls it every few seconds."""
        waiting = [step for step in self._steps if step.isWaiting()]
        if not waiting:
            return
        # Asked first: what comes between the two questions is found by the second.
        growing = self._isGrowing()
        new = self._insertNewTomograms()
        over = not growing and all(step.isFinished() for step in self._steps if step is not waiting[0])
        if over:
            waiting[0].setStatus(STATUS_NEW)
        else:
            self._publish(Set.STREAM_OPEN)
        if new or over:
            self.updateSteps()

    def _isGrowing(self):
        """Tell whether more tomograms may come."""
        return any(self._isOpen(pointer.get().getFileName()) for pointer in self._pointers())

    @staticmethod
    def _isOpen(name):
        # The set that the form knows was read when the protocol started.
        now = SetOfTomograms(filename=name)
        now.loadAllProperties()
        isOpen = now.isStreamOpen()
        now.close()
        return isOpen

    def tomogramStep(self, name, words):
        """Run the engine on one tomogram, and return the files that it wrote."""
        pair = next(pair for pair in self._pairs() if pair.name == name)
        for source, readable in self._readable(pair):
            if source != readable:
                ImageHandler().convert(source, readable)
        return self._runEngine(words, self.resultFolderOf(name))

    def createOutputStep(self, words):
        """Register the set of resolution maps, with names, sampling and origins of the tomograms."""
        self._publish(Set.STREAM_CLOSED)
        summaries = [self.readReportOf(name)["summary"] for name in self.finishedNames()]
        determined = [summary for summary in summaries if "min" in summary]
        self.min_res_init = Float(min((summary["min"] for summary in determined), default=None))
        self.max_res_init = Float(max((summary["max"] for summary in determined), default=None))
        self._store()

    def _publish(self, state):
        """Add to the output what has been finished; without anything to show there is no output yet."""
        found, source = getattr(self, OUTPUT, None), self._referencePointer().get()
        known = set() if found is None else {self._nameOf(tomogram) for tomogram in found}
        finished = self.finishedNames()
        new = [pair for pair in self._pairs() if pair.name in finished and pair.name not in known]
        if state == Set.STREAM_OPEN and not new:
            return
        if found is None:
            found = self._createSetOfTomograms(suffix="LocalResolution")
            found.copyInfo(source)
        else:
            found.enableAppend()
        for pair in new:
            tomogram = Tomogram()
            tomogram.copyInfo(source[pair.id])
            tomogram.setHalfMaps(None)
            tomogram.setFileName(os.path.join(self.resultFolderOf(pair.name), "resolution.mrc"))
            tomogram.setSamplingRate(self._samplingRate())
            found.append(tomogram)
        found.setStreamState(state)
        if hasattr(self, OUTPUT):
            found.write()
        else:
            self._defineOutputs(**{OUTPUT: found})
            for pointer in self._pointers():
                self._defineSourceRelation(pointer, found)
        self._store()

    # --------------------------- INFO -----------------------------------------

    def _summary(self):
        lines = []
        for name in self.finishedNames():
            report = self.readReportOf(name)
            lines += [f"{name}: {line}" for line in self._summaryOf(report)[1:]]
            lines += [f"{name}: Warning: {warning}" for warning in report["warnings"]]
        return [self.readReportOf(self.finishedNames()[0])["criterion"], *lines] if lines else ["Not finished yet."]

    def _methods(self):
        names = self.finishedNames()
        if not names:
            return []
        report = self.readReportOf(names[0])
        return [f"MonoTomo was computed with cryores {report['version']}: {report['criterion']}"]

    # --------------------------- INPUTS ---------------------------------------

    def _pointers(self):
        return [self.tomo] if self.useAssociatedOddEven else [self.oddTomograms, self.evenTomograms]

    def _referencePointer(self):
        return self._pointers()[0]

    def _pairs(self):
        """List the tomograms that have two halves."""
        if self.useAssociatedOddEven:
            return [pair for pair in self._associated() if pair.half2]
        even = {self._nameOf(tomogram): self._plainName(tomogram) for tomogram in self.evenTomograms.get()}
        return [
            Pair(self._nameOf(odd), odd.getObjId(), odd.getDim(), self._plainName(odd), even[self._nameOf(odd)])
            for odd in self.oddTomograms.get()
            if self._nameOf(odd) in even
        ]

    def _associated(self):
        for tomogram in self.tomo.get():
            halves = list(tomogram.getHalfMaps(asList=True) or [])
            one, two = [self._plainName(half) for half in halves] if len(halves) == 2 else (None, None)
            yield Pair(self._nameOf(tomogram), tomogram.getObjId(), tomogram.getDim(), one, two)

    @staticmethod
    def _nameOf(tomogram):
        return tomogram.getTsId() or f"tomogram{tomogram.getObjId()}"

    def _missingInputs(self):
        if any(pointer.get() is None for pointer in self._pointers()):
            return ["Give the tomograms." if self.useAssociatedOddEven else "Give the odd and the even tomograms."]
        return ["Give the mask, or say that none is used."] if self.useMask and self.Mask.get() is None else []

    def _gridErrors(self):
        """Return what keeps the tomograms from being paired, or the mask from lying on them."""
        pairs = self._pairs()
        names = [name for pointer in self._pointers() for name in map(self._nameOf, pointer.get())]
        alone = sorted(set(names) - {pair.name for pair in pairs})
        errors = []
        if alone and self._isGrowing():
            alone = []  # the other half may still come
        if alone and self.useAssociatedOddEven:
            errors.append(f"No odd and even halves are associated to: {', '.join(alone)}")
        elif alone:
            errors.append(f"There is no odd or no even tomogram of: {', '.join(alone)}")
        rates = [pointer.get().getSamplingRate() for pointer in self._pointers()]
        if len(rates) == 2 and abs(rates[0] - rates[1]) > 1e-3 * rates[0]:
            errors.append(f"The halves have different sampling rates: {rates[0]} and {rates[1]} Å/px")
        if self.useMask:
            shape = tuple(self.Mask.get().getDim()[:3])
            other = [pair.name for pair in pairs if tuple(pair.shape[:3]) != shape]
            if other:
                errors.append(
                    f"The mask has {'x'.join(map(str, shape))} voxels, and another size have: {', '.join(other)}"
                )
        return errors

    def _readable(self, pair):
        """Return, for the two halves, the file that is given and the one that the engine reads."""
        for number, source in ((1, pair.half1), (2, pair.half2)):
            readable = source if source.endswith(READABLE) else self._getTmpPath(f"{pair.name}_half{number}.mrc")
            yield source, readable

    def _filesOf(self, pair):
        files = dict(zip(("half1", "half2"), (readable for _, readable in self._readable(pair))))
        return {**files, "mask": self._plainName(self.Mask.get())} if self.useMask else files

    def _wordsOf(self, pair):
        return self._fileWords(self._filesOf(pair)) + self._parameterWords()

    def _readInputs(self):
        """Return the first tomogram as the engine reads it, or None where that would keep the form waiting."""
        pair = next(iter(self._pairs()), None)
        if pair is None:
            return None
        x, y, z = pair.shape[:3]
        if any(source != readable for source, readable in self._readable(pair)) or x * y * z > LARGEST_DIAGNOSED:
            return None
        return read_inputs(load_method(self._method), self._filesOf(pair), self._samplingRate(), Execution())

    # --------------------------- RESULTS --------------------------------------

    def resultFolderOf(self, name):
        """Return the engine's folder of the tomogram called ``name``."""
        return self._getExtraPath(f"tomo_{name}")

    def readReportOf(self, name):
        """Return the engine's report on the tomogram called ``name``."""
        return self._readJson(os.path.join(self.resultFolderOf(name), "report.json"))

    def hasResult(self):
        """Return whether a tomogram has been finished."""
        return bool(self.finishedNames())

    def finishedNames(self):
        """Return the names of the tomograms that have a report, in the order of the set."""
        if any(pointer.get() is None for pointer in self._pointers()):
            return []
        names = [pair.name for pair in self._pairs()]
        return [name for name in names if os.path.exists(os.path.join(self.resultFolderOf(name), "report.json"))]
