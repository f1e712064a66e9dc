"""What every cryores protocol does: a form from the engine's declaration, one run of the engine, its outputs."""

import inspect
import json
import os
import re

from pwem.emlib.image import ImageHandler
from pwem.objects import Volume, VolumeMask
from pwem.protocols import ProtAnalysis3D
from pyworkflow.object import Float
from pyworkflow.protocol import params
from pyworkflow.protocol.constants import LEVEL_ADVANCED, LEVEL_NORMAL

from cryores.cli.method_inputs import read_inputs
from cryores.diagnosis import check_inputs, suspicious
from cryores.errors import CryoresError
from cryores.execution import Execution
from cryores.method import load_method, parameters_of
from cryoresplugin import Plugin
from cryoresplugin.protocols.fields import HIGH_LOW_STEP, OPEN, RANGE, addMask, labelOf, openChoice

READABLE = (".mrc", ".map", ".ccp4", ".gz")
LARGEST_DIAGNOSED = 256**3
"""Voxels up to which the form itself examines the input (2 s); beyond, the engine does it when it runs."""

OPTION = re.compile(r"--[a-z][a-z0-9-]*")
"""How a message of the engine names an option of the command line."""

PARAM_CLASSES = {float: params.FloatParam, int: params.IntParam, str: params.StringParam, bool: params.BooleanParam}


def camelCase(name):
    """Return the form's spelling of an engine word: ``resolution_step`` is ``resolutionStep``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class CryoresProtocol(ProtAnalysis3D):
    """Base of all protocols. A subclass names its ``_method`` and says where its inputs are."""

    _method = None
    _fields = {}
    """Engine parameter -> field, where a predecessor's protocol has another word for it."""
    _possibleOutputs = {"resolution_Volume": Volume, "outputMask": VolumeMask}
    _resolutionOutput = "resolution_Volume"
    """Name of the output that is the resolution map."""

    @classmethod
    def getDoc(cls):
        """Return the help of the protocol: what the method tells, and when it lies."""
        return inspect.cleandoc(cls.__doc__)

    # --------------------------- DEFINE ---------------------------------------

    def _addEngineParams(self, form):
        """Add a field, by its camelCase name, for every engine parameter that has none yet: the expert's ones last."""
        missing = [p for p in self._declared() if not form.hasParam(self._fieldOf(p))]
        self._addRange(form, [p for p in missing if p.name in HIGH_LOW_STEP])
        for parameter in sorted(missing, key=lambda parameter: parameter.expert):
            if not form.hasParam(self._fieldOf(parameter)):
                self._addEngineParam(form, parameter, labelOf(parameter))

    def _addRange(self, form, ends):
        """Add two ends of a resolution range, or more, in one line."""
        if len(ends) < 2:
            return
        helps = "\n\n".join(f"{HIGH_LOW_STEP[p.name]}: {self._helpOn(p.name)}" for p in ends)
        level = LEVEL_ADVANCED if all(p.expert for p in ends) else LEVEL_NORMAL
        line = form.addLine(RANGE, help=helps, expertLevel=level)
        for parameter in sorted(ends, key=lambda p: list(HIGH_LOW_STEP).index(p.name)):
            self._addEngineParam(line, parameter, HIGH_LOW_STEP[parameter.name])

    def _addEngineParam(self, form, parameter, label):
        name = self._fieldOf(parameter)
        options = {
            "label": label,
            "help": self._helpOn(parameter.name),
            "expertLevel": LEVEL_ADVANCED if parameter.expert else LEVEL_NORMAL,
        }
        if parameter.choices:
            choices = [*([openChoice(parameter)] if parameter.default is None else []), *parameter.choices]
            default = choices.index(parameter.default or openChoice(parameter))
            form.addParam(name, params.EnumParam, choices=choices, default=default, **options)
        elif parameter.repeated:
            form.addParam(name, params.StringParam, default=" ".join(map(str, parameter.default)), **options)
        else:
            kind = PARAM_CLASSES[parameter.type]
            form.addParam(name, kind, default=parameter.default, allowsNull=parameter.default is None, **options)

    def _addMask(self, form, name, means, **more):
        """Add the mask: what it is to the method; without one it is made, or none is used, as the method declares."""
        if load_method(self._method).mask != "made":
            more = {"otherwise": "none is used", **more}
        addMask(form, name, means, **more)

    def _addRunParams(self, form, threads=4):
        form.addHidden(params.USE_GPU, params.BooleanParam, default=False, label="Use GPU?",
                       help="Methods without a GPU version run on the processors, and say so.")  # fmt: skip
        form.addHidden(params.GPU_LIST, params.StringParam, default="0", label="GPU IDs")
        form.addParallelSection(threads=threads, mpi=0)

    def _helpOn(self, name):
        """Return what the engine says of its parameter: meaning, range, recommended value, option."""
        parameter = next(p for p in self._declared() if p.name == name)
        bounds = [
            f"{word} {value:g}"
            for word, value in (("at least", parameter.minimum), ("at most", parameter.maximum))
            if value is not None
        ]
        words = parameter.help.rstrip(".")
        lines = [f"{words[0].upper()}{words[1:]}."]
        if bounds:
            lines.append(f"Allowed: {', '.join(bounds)} {parameter.unit}".rstrip() + ".")
        lines.append(f"Recommended: {self._recommended(parameter)}.")
        lines.append(f"At the command line: {parameter.option}.")
        return "\n".join(lines)

    @staticmethod
    def _recommended(parameter):
        if parameter.choices and parameter.default is None:
            return openChoice(parameter)
        if parameter.default in (None, "", ()):
            return "leave it empty" if parameter.repeated or parameter.type is str else "leave it open (empty or 0)"
        if parameter.type is bool:
            return "yes" if parameter.default else "no"
        several = parameter.default if parameter.repeated else (parameter.default,)
        return " ".join(f"{value:g}" if isinstance(value, (int, float)) else value for value in several)

    # --------------------------- INSERT ---------------------------------------

    def _insertAllSteps(self):
        # Both steps have the words as their arguments, so that a continued run repeats them after a change of the form.
        words = self._engineWords()
        self._insertFunctionStep(self.computeStep, words, needsGPU=self.useGpu.get())
        self._insertFunctionStep(self.createOutputStep, words, needsGPU=False)

    # --------------------------- STEPS ----------------------------------------

    def computeStep(self, words):
        """Run the engine, and return the files that it wrote: without them a continued run repeats the step."""
        for name, source in self._conversions().items():
            ImageHandler().convert(source, name)
        return self._runEngine(words, self._resultFolder())

    def _runEngine(self, words, folder):
        """Run the engine into ``folder``; return the files that it wrote, or fail with its own words."""
        run = ["--threads", str(self.numberOfThreads.get()), "--out", folder, "--overwrite"]
        if self.useGpu.get():
            # Those that Scipion gives this step: of several steps at a time each gets its own.
            run += ["--device", f"cuda:{self._stepsExecutor.getGpuListStr(',')}"]
        heard = len(self._readStderr())
        try:
            Plugin.runCryores(self, self._method, [*words, *run])
        except Exception as error:
            said = [line for line in self._readStderr()[heard:].splitlines() if line.startswith("error E_")]
            raise RuntimeError(self._inWordsOfTheForm(said[-1]) if said else str(error)) from error
        report = os.path.join(folder, "report.json")
        return [report, *(os.path.join(folder, name) for name in self._readJson(report)["files"])]

    def createOutputStep(self, words):
        """Register the resolution map, and the mask where the engine made one."""
        summary = self.readReport()["summary"]
        self.min_res_init = Float(summary.get("min"))
        self.max_res_init = Float(summary.get("max"))
        self._defineVolume(self._resolutionOutput, "resolution.mrc", Volume())
        self._defineMadeMask()
        self._store()

    def _defineMadeMask(self):
        """Register the mask where the engine made one."""
        if "mask.mrc" in self.readReport()["files"]:
            self._defineVolume("outputMask", "mask.mrc", VolumeMask())

    def _defineVolume(self, output, name, volume):
        """Register the engine's file ``name``, with sampling and origin of the input."""
        reference = self._referencePointer().get()
        volume.setFileName(os.path.join(self._resultFolder(), name))
        volume.setSamplingRate(self._samplingRate())
        volume.setOrigin(reference.getOrigin(force=True).clone())
        self._defineOutputs(**{output: volume})
        self._defineSourceRelation(self._referencePointer(), volume)

    # --------------------------- INFO -----------------------------------------

    def _validate(self):
        errors = self._missingInputs() or self._gridErrors()
        try:
            parameters = self._engineParameters()
            inputs = None if errors else self._readInputs()
            if inputs is not None:
                check_inputs(inputs, load_method(self._method))
                load_method(self._method).check(inputs, parameters)
        except CryoresError as error:
            errors.append(self._inWordsOfTheForm(str(error)))
        return errors

    def _warnings(self):
        if self._validate():
            return []
        inputs, method, parameters = self._readInputs(), load_method(self._method), self._engineParameters()
        if inputs is None:
            return []
        found = [f for f in suspicious(inputs, method, parameters) if f.code != "W_NO_MASK"]  # the form says it itself
        return [self._inWordsOfTheForm(said) for said in (*map(self._said, found), *method.check(inputs, parameters))]

    def _said(self, finding):
        volume = self._sources().get("map")
        if finding.code == "W_SINGLE_MAP" and isinstance(volume, Volume) and volume.hasHalfMaps():
            return "This volume has its half maps attached: use them. They tell the noise inside the particle too."
        return str(finding)

    def _inWordsOfTheForm(self, said):
        """Return a message of the engine with labels of the form in place of options of the command line."""
        labels = {parameter.option: self._shownLabel(parameter) for parameter in self._declared()}
        if self.hasAttribute("background"):
            labels["--background"] = self.getParam("background").getLabel()
        return OPTION.sub(lambda found: f'"{labels[found[0]]}"' if found[0] in labels else found[0], said)

    def _shownLabel(self, parameter):
        shown = self.getParam(self._fieldOf(parameter)).getLabel()
        return labelOf(parameter) if shown in HIGH_LOW_STEP.values() else shown

    def _summary(self):
        if not self.hasResult():
            return ["Not finished yet."]
        report = self.readReport()
        first, *rest = self._summaryOf(report)
        warnings = (f"Warning: {self._inWordsOfTheForm(warning)}" for warning in report["warnings"])
        return [first[:1].upper() + first[1:], *rest, *warnings]

    def _summaryOf(self, report):
        summary = report["summary"]
        lines = [report["criterion"]]
        if "median" in summary:
            lines.append(
                f"Median {summary['median']:.2f} Å, 5 to 95 % of voxels {summary['p5']:.2f} to {summary['p95']:.2f} Å"
            )
            lines.append(f"Highest resolution {summary['min']:.2f} Å, Lowest resolution {summary['max']:.2f} Å")
        else:
            lines.append("No voxel could be given a resolution.")
        if summary.get("global_resolution"):
            lines.append(f"Global resolution (FSC 0.143): {summary['global_resolution']:.2f} Å")
        return lines

    def _methods(self):
        if not self.hasResult():
            return []
        report = self.readReport()
        title = load_method(self._method).title
        return [f"{title} was computed with cryores {report['version']}: {report['criterion']}"]

    def _citations(self):
        return list(load_method(self._method).citations)

    # --------------------------- INPUTS ---------------------------------------

    def _sources(self):
        """Return role -> Volume, or file name of a half map, of the inputs that are given."""
        raise NotImplementedError

    def _models(self):
        """Return role -> AtomStruct, where the method takes an atomic model and it is given."""
        return {}

    def _namedMaps(self):
        """Return name -> Volume of several maps, where the method takes them."""
        return {}

    def _backgrounds(self):
        """Return what stands for "no value" in resolution maps: one for all, or one for each; empty: no such maps."""
        return ["auto"]

    def _referencePointer(self):
        """Return the pointer to the volume whose grid the outputs have."""
        raise NotImplementedError

    def _missingInputs(self):
        """Return what to do about inputs that are not set."""
        raise NotImplementedError

    @staticmethod
    def _attachedOrPaired(attached, whole, half1, half2):
        """Return role -> half map, of a volume that has them attached or of two volumes."""
        if not attached:
            return {"half1": half1.get(), "half2": half2.get()}
        return dict(zip(("half1", "half2"), whole.get().getHalfMaps(asList=True)))

    @staticmethod
    def _missingHalves(attached, whole, half1, half2):
        if attached and whole.get() is None:
            return ["Give the volume that has the half maps."]
        if attached and len(whole.get().getHalfMaps(asList=True) or []) != 2:
            return ["The volume has no half maps attached: import them with the volume, or give the two half maps."]
        if not attached and (half1.get() is None or half2.get() is None):
            return ["Give both half maps."]
        return []

    @staticmethod
    def _given(**pointers):
        """Return role -> object of the pointers that are set."""
        return {role: pointer.get() for role, pointer in pointers.items() if pointer.get() is not None}

    def _gridErrors(self):
        sources = {**self._sources(), **self._namedMaps()}
        volumes = {role: source for role, source in sources.items() if isinstance(source, Volume)}
        shapes = {role: tuple(v.getDim()[:3]) for role, v in volumes.items() if v.getDim()}
        if len(set(shapes.values())) > 1:
            sizes = ", ".join(f"{role} {'x'.join(map(str, shape))}" for role, shape in shapes.items())
            return [f"The inputs have different sizes: {sizes}"]
        halves = [volumes[r].getSamplingRate() for r in ("half1", "half2") if r in volumes]
        if len(halves) == 2 and abs(halves[0] - halves[1]) > 1e-3 * halves[0]:
            return [f"The half maps have different sampling rates: {halves[0]} and {halves[1]} Å/px"]
        return []

    def _readInputs(self):
        """Return the inputs as the engine reads them, or None where that would keep the form waiting."""
        reference = self._referencePointer().get()
        x, y, z = (reference.getDim() or (0, 0, 0))[:3]
        if self._conversions() or x * y * z > LARGEST_DIAGNOSED:
            return None
        several = self._namedFiles()
        method = load_method(self._method)
        return read_inputs(method, self._engineFiles(), self._samplingRate(), Execution(), several, self._backgrounds())

    def _engineFiles(self):
        """Return role -> file that the engine reads: the given one, or its copy in MRC."""
        maps = {role: self._readableName(role, source) for role, source in self._sources().items()}
        return {**maps, **{role: model.getFileName() for role, model in self._models().items()}}

    def _namedFiles(self):
        """Return name -> file that the engine reads, of several maps."""
        named = enumerate(self._namedMaps().items(), 1)
        return {name: self._readableName(f"several{number}", source) for number, (name, source) in named}

    def _readableName(self, role, source):
        name = self._plainName(source)
        return name if name.endswith(READABLE) else self._getTmpPath(f"{role}.mrc")

    def _conversions(self):
        """Return file to write -> source, of the inputs in a format that the engine does not read."""
        names = {self._readableName(role, source): source for role, source in self._sources().items()}
        names.update(zip(self._namedFiles().values(), self._namedMaps().values()))
        return {name: source for name, source in names.items() if name != self._plainName(source)}

    def _samplingRate(self):
        """Return the voxel size of the run in Å."""
        return self._referencePointer().get().getSamplingRate()

    @staticmethod
    def _plainName(source):
        return re.sub(r":mrcs?$", "", source.getFileName() if isinstance(source, Volume) else source)

    # --------------------------- PARAMETERS -----------------------------------

    def _declared(self):
        return parameters_of(load_method(self._method).parameters)

    def _fieldOf(self, parameter):
        return self._fields.get(parameter.name, camelCase(parameter.name))

    def _values(self):
        """Return engine parameter -> value; what the form leaves open is left to the method."""
        values = {parameter.name: self._valueOf(parameter) for parameter in self._declared()}
        values.update(self._translated())
        return {name: value for name, value in values.items() if value not in (None, "", ())}

    def _valueOf(self, parameter):
        field = self._fieldOf(parameter)
        value = getattr(self, field).get()
        if isinstance(self.getParam(field), params.EnumParam):
            return None if self.getEnumText(field) in OPEN else self.getEnumText(field)
        if parameter.repeated:
            return tuple(self._typed(parameter, word) for word in re.split(r"[\s,]+", str(value or "").strip()) if word)
        # 0 is the predecessors' word for "choose it".
        open_to_method = parameter.default is None and parameter.type in (int, float) and not value
        return None if open_to_method else value

    @staticmethod
    def _typed(parameter, word):
        """Return a word of a field as a value of the engine's parameter, or as it is: then the engine refuses it."""
        try:
            return parameter.type(word)
        except ValueError:
            return word

    def _translated(self):
        """Return engine parameter -> value of the predecessor's fields that mean it in another way."""
        return {}

    def _engineParameters(self):
        return load_method(self._method).make_parameters(self._values())

    def _engineWords(self):
        """Return the inputs and the parameters as words of the command line."""
        words = self._fileWords(self._engineFiles())
        several = self._namedFiles()
        if several:
            words += ["--maps", *several.values(), "--names", *several]
        if self._backgrounds() and (several or "resolution_map" in self._sources()):
            words += ["--background", *self._backgrounds()]
        return words + self._parameterWords()

    @staticmethod
    def _fileWords(files):
        """Return role -> file as words of the command line."""
        return [word for role, name in files.items() for word in (f"--{role.replace('_', '-')}", name)]

    def _parameterWords(self):
        """Return the sampling and the parameters of the form as words of the command line."""
        words = ["--voxel-size", f"{self._samplingRate():.6g}"]
        values = self._values()
        for parameter in self._declared():
            value = values.get(parameter.name)
            if parameter.type is bool and value is not None:
                words.append(parameter.option if value else "--no-" + parameter.option[2:])
            elif value is not None:
                words += [parameter.option, *map(str, value if parameter.repeated else [value])]
        return words

    # --------------------------- RESULTS --------------------------------------

    def _resultFolder(self):
        return self._getExtraPath(self._method)

    def _reportFile(self):
        return os.path.join(self._resultFolder(), "report.json")

    def hasResult(self):
        """Return whether the engine has finished, so that there is something to look at."""
        return os.path.exists(self._reportFile())

    def readReport(self):
        """Return the engine's report as a dict."""
        return self._readJson(self._reportFile())

    @staticmethod
    def _readJson(path):
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def _readStderr(self):
        path = self.getStderrLog()
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
