"""What every cryores protocol does: a form from the engine's declaration, one run of the engine, its outputs."""

import json
import os
import re

from pwem.emlib.image import ImageHandler
from pwem.objects import Volume, VolumeMask
from pwem.protocols import ProtAnalysis3D
from pyworkflow.object import Float
from pyworkflow.protocol import params
from pyworkflow.protocol.constants import LEVEL_ADVANCED, LEVEL_NORMAL

from cryores.errors import CryoresError
from cryores.method import load_method, parameters_of
from cryoresplugin import Plugin

READABLE = (".mrc", ".map", ".ccp4", ".gz")
LARGEST_DIAGNOSED = 300**3
"""Voxels up to which the form itself examines the input; beyond, the warnings are in the summary after the run."""

PARAM_CLASSES = {float: params.FloatParam, int: params.IntParam, str: params.StringParam, bool: params.BooleanParam}


def camelCase(name):
    """Return the form's spelling of an engine word: ``resolution_step`` is ``resolutionStep``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class CryoresProtocol(ProtAnalysis3D):
    """Base of all protocols. A subclass names its ``_method`` and says where its inputs are."""

    _label = None
    _method = None
    _possibleOutputs = {"resolution_Volume": Volume}

    # --------------------------- DEFINE ---------------------------------------

    def _defineHalvesParams(self, form):
        """Add the inputs of a new protocol that compares half maps."""
        form.addParam(
            "halvesAttached", params.BooleanParam, default=True, label="Are the half maps stored with the volume?",
            help="Yes: give the volume, its half maps are found. No: give the two half maps.",
        )  # fmt: skip
        form.addParam(
            "inputVolume", params.PointerParam, pointerClass="Volume", condition="halvesAttached", allowsNull=True,
            label="Input Half Maps", help="Volume whose half maps are compared.",
        )  # fmt: skip
        for number in (1, 2):
            form.addParam(
                f"half{number}", params.PointerParam, pointerClass="Volume", condition="not halvesAttached",
                allowsNull=True, label=f"Half Map {number}",
            )  # fmt: skip

    def _addEngineParams(self, form, skip=()):
        """Add a field for every engine parameter that is not in ``skip``, under its camelCase name."""
        for parameter in self._declared():
            if parameter.name in skip:
                continue
            name = camelCase(parameter.name)
            options = {
                "label": parameter.name.replace("_", " ").capitalize()
                + (f" ({parameter.unit})" if parameter.unit else ""),
                "help": self._helpOf(parameter),
                "expertLevel": LEVEL_ADVANCED if parameter.expert else LEVEL_NORMAL,
            }
            if parameter.choices:
                choices = (
                    list(parameter.choices) if parameter.default is not None else ["automatic", *parameter.choices]
                )
                default = choices.index(parameter.default) if parameter.default is not None else 0
                form.addParam(name, params.EnumParam, choices=choices, default=default, **options)
            elif parameter.repeated:
                text = " ".join(str(v) for v in parameter.default)
                form.addParam(name, params.StringParam, default=text, **options)
            else:
                kind = PARAM_CLASSES[parameter.type]
                form.addParam(name, kind, default=parameter.default, allowsNull=parameter.default is None, **options)

    def _addRunParams(self, form, threads=4):
        form.addHidden(params.USE_GPU, params.BooleanParam, default=False, label="Use GPU?",
                       help="Methods without a GPU version run on the processors.")  # fmt: skip
        form.addHidden(params.GPU_LIST, params.StringParam, default="0", label="GPU IDs")
        form.addParallelSection(threads=threads, mpi=0)

    @staticmethod
    def _helpOf(parameter):
        bounds = [
            f"{word} {value:g}"
            for word, value in (("at least", parameter.minimum), ("at most", parameter.maximum))
            if value is not None
        ]
        default = "chosen by the method" if parameter.default is None else parameter.default
        allowed = f" {', '.join(bounds)} {parameter.unit}".rstrip() + "." if bounds else ""
        return f"{parameter.help.rstrip('.')}.{allowed} Default: {default}. At the command line: {parameter.option}"

    # --------------------------- INSERT ---------------------------------------

    def _insertAllSteps(self):
        self._insertFunctionStep(self.computeStep, needsGPU=False)
        self._insertFunctionStep(self.createOutputStep, needsGPU=False)

    # --------------------------- STEPS ----------------------------------------

    def computeStep(self):
        """Run the engine; everything that it finds is in its folder."""
        words = []
        for role, volume in self._sources().items():
            words += ["--" + role.replace("_", "-"), volume if isinstance(volume, str) else self._readableFile(volume)]
        words += [
            "--voxel-size",
            f"{self._reference().getSamplingRate():.6g}",
            "--threads",
            str(self.numberOfThreads.get()),
        ]
        if getattr(self, params.USE_GPU).get():
            words += ["--device", f"cuda:{getattr(self, params.GPU_LIST).get().replace(' ', ',')}"]
        words += [*self._parameterWords(), "--out", self._resultFolder(), "--overwrite"]
        try:
            Plugin.runCryores(self, self._method, words)
        except Exception as error:
            raise RuntimeError(self._engineError() or str(error)) from error

    def createOutputStep(self):
        """Register what the engine wrote."""
        self._defineResolutionOutput()

    def _defineResolutionOutput(self):
        summary = self.readReport()["summary"]
        output = self._volumeOf("resolution.mrc", Volume())
        self.min_res_init = Float(summary.get("min"))
        self.max_res_init = Float(summary.get("max"))
        self._defineOutputs(resolution_Volume=output)
        self._defineSourceRelation(self._referencePointer(), output)
        self._store()

    def _volumeOf(self, name, output):
        """Return ``output`` on the engine's file, with sampling and origin of the input."""
        reference = self._reference()
        output.setFileName(os.path.join(self._resultFolder(), name))
        output.setSamplingRate(reference.getSamplingRate())
        output.setOrigin(reference.getOrigin(force=True))
        return output

    def _defineMaskOutput(self):
        if os.path.exists(os.path.join(self._resultFolder(), "mask.mrc")):
            mask = self._volumeOf("mask.mrc", VolumeMask())
            self._defineOutputs(outputMask=mask)
            self._defineSourceRelation(self._referencePointer(), mask)

    # --------------------------- INFO -----------------------------------------

    def _validate(self):
        errors = self._missingInputs()
        if not errors:
            errors += self._gridErrors()
        try:
            self._engineParameters()
        except CryoresError as error:
            errors.append(str(error))
        return errors

    def _warnings(self):
        reference = self._reference()
        if reference is None or self._missingInputs() or self._countVoxels(reference) > LARGEST_DIAGNOSED:
            return []
        try:
            return self._diagnosed()
        except CryoresError as error:
            return [str(error)]

    def _diagnosed(self):
        from cryores.diagnosis import check_inputs, suspicions
        from cryores.mapio import read_half_maps, read_map
        from cryores.method import Inputs

        method = load_method(self._method)
        sampling = self._reference().getSamplingRate()
        files = {role: v if isinstance(v, str) else self._plainName(v) for role, v in self._sources().items()}
        if not all(name.endswith(READABLE) for role, name in files.items() if role != "model"):
            return []
        halves = "half1" in files
        maps = read_half_maps(files["half1"], files["half2"], sampling) if halves else read_map(files["map"], sampling)
        others = {r: read_map(files[r], sampling) for r in ("mask", "exclude") if r in files}
        inputs = Inputs(maps=maps, model=files.get("model"), **others)
        check_inputs(inputs, method)
        return suspicions(inputs, method) + method.check(inputs, self._engineParameters())

    def _summary(self):
        if not os.path.exists(self._reportFile()):
            return ["Not finished yet."]
        report = self.readReport()
        return self._summaryOf(report) + [f"Warning: {warning}" for warning in report["warnings"]]

    def _summaryOf(self, report):
        summary = report["summary"]
        lines = [report["criterion"]]
        if "median" in summary:
            lines.append(
                f"Median {summary['median']:.2f} Å, 5 to 95 % of voxels {summary['p5']:.2f} to {summary['p95']:.2f} Å"
            )
            lines.append(f"Highest resolution {summary['min']:.2f} Å, Lowest resolution {summary['max']:.2f} Å")
        if summary.get("global_resolution"):
            lines.append(f"Global resolution (FSC 0.143): {summary['global_resolution']:.2f} Å")
        return lines

    def _methods(self):
        if not os.path.exists(self._reportFile()):
            return []
        report = self.readReport()
        title = load_method(self._method).title
        return [f"{title} was computed with cryores {report['version']}: {report['criterion']}"]

    def _citations(self):
        return list(load_method(self._method).citations)

    # --------------------------- UTILS ----------------------------------------

    def _sources(self):
        """Return role -> Volume or path, of the inputs that are given."""
        raise NotImplementedError

    def _referencePointer(self):
        """Return the pointer to the volume whose grid the outputs have."""
        raise NotImplementedError

    def _predecessorValues(self):
        """Return engine parameter -> value for the fields that have a predecessor's name."""
        return {}

    def _reference(self):
        pointer = self._referencePointer()
        return pointer.get() if pointer is not None else None

    def _attachedOrPaired(self, attached, whole, half1, half2):
        """Return role -> half map, of a volume that has them attached or of two volumes."""
        if not attached:
            return {"half1": half1.get(), "half2": half2.get()}
        names = whole.get().getHalfMaps(asList=True)
        return {"half1": names[0], "half2": names[1]}

    def _missingInputs(self):
        """Return errors for pointers that are not set; a subclass adds its own."""
        return [] if self._reference() is not None else ["Give the input volume."]

    def _missingHalves(self, attached, whole, half1, half2):
        if attached and whole.get() is None:
            return ["Give the volume that has the half maps."]
        if attached and len(whole.get().getHalfMaps(asList=True) or []) != 2:
            return ["The volume has no half maps attached: import them with the volume, or give the two half maps."]
        if not attached and (half1.get() is None or half2.get() is None):
            return ["Give both half maps."]
        return []

    def _gridErrors(self):
        volumes = {r: v for r, v in self._sources().items() if hasattr(v, "getDim")}
        shapes = {role: tuple(v.getDim()[:3]) for role, v in volumes.items() if v.getDim()}
        if len(set(shapes.values())) > 1:
            return [
                "The inputs have different sizes: "
                + ", ".join(f"{r} {'x'.join(map(str, s))}" for r, s in shapes.items())
            ]
        halves = [volumes[r].getSamplingRate() for r in ("half1", "half2") if r in volumes]
        if len(halves) == 2 and abs(halves[0] - halves[1]) > 1e-3 * halves[0]:
            return [f"The half maps have different sampling rates: {halves[0]} and {halves[1]} Å/px"]
        return []

    @staticmethod
    def _countVoxels(volume):
        x, y, z = volume.getDim()[:3]
        return x * y * z

    def _declared(self):
        return parameters_of(load_method(self._method).parameters)

    def _values(self):
        """Return engine parameter -> value, of the predecessor's fields and of those made from the declaration."""
        values = {}
        for parameter in self._declared():
            name = camelCase(parameter.name)
            if not hasattr(self, name) or self.getParam(name) is None:
                continue
            value = getattr(self, name).get()
            if parameter.choices:
                text = self.getEnumText(name)
                value = None if text == "automatic" else text
            elif parameter.repeated:
                value = tuple(parameter.type(word) for word in re.split(r"[\s,]+", str(value).strip()))
            if value is not None and value != "":
                values[parameter.name] = value
        values.update(self._predecessorValues())
        return {name: value for name, value in values.items() if value is not None}

    def _engineParameters(self):
        return load_method(self._method).make_parameters(self._values())

    def _parameterWords(self):
        words = []
        values = self._values()
        for parameter in self._declared():
            value = values.get(parameter.name)
            if value is None:
                continue
            if parameter.type is bool:
                words.append(parameter.option if value else "--no-" + parameter.option[2:])
            else:
                words += [parameter.option, *(map(str, value) if parameter.repeated else [str(value)])]
        return words

    @staticmethod
    def _plainName(volume):
        return re.sub(r":mrcs?$", "", volume.getFileName())

    def _readableFile(self, volume):
        """Return a file that the engine reads: the volume's own, or a copy of it in MRC."""
        name = self._plainName(volume)
        if name.endswith(READABLE):
            return name
        copy = self._getTmpPath(os.path.splitext(os.path.basename(name))[0] + ".mrc")
        ImageHandler().convert(volume, copy)
        return copy

    def _resultFolder(self):
        return self._getExtraPath(self._method)

    def _reportFile(self):
        return os.path.join(self._resultFolder(), "report.json")

    def readReport(self):
        """Return the engine's report as a dict."""
        with open(self._reportFile(), encoding="utf-8") as file:
            return json.load(file)

    def _engineError(self):
        """Return the engine's own last words, which say what to do."""
        path = self._getLogsPath("run.stderr")
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8", errors="replace") as file:
            said = [line.strip() for line in file if line.startswith("error E_")]
        return said[-1] if said else None
