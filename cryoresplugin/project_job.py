"""One job of the web tool: a Scipion project made, filled and run by a script. ``python -m cryoresplugin.project_job``.

The argument is a folder with ``job.json``: the paths of maps, mask and model, the sampling, the methods in their order,
settings and threads. What happens is told in lines of JSON (`cryores.web.progress` reads them). The variables that
Scipion wants are set by whoever starts this. It ends with 0 if at least one method gave a result.
"""

import contextlib
import json
import os
import re
import sys
import threading
import time

from cryores.web.menu import MENU

TOLD_EVERY = 0.5
LOCAL = {offer.name for offer in MENU if offer.local}
"""Methods that give a local resolution, which the comparison takes."""


def loadPlugins():
    """Find the plugins as Scipion does; the protocols can be imported then."""
    import pyworkflow

    pyworkflow.Config.getDomain().getPlugins()


class Told:
    """Lines of JSON in a file, each written at once."""

    def __init__(self, path):
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115

    def __call__(self, event, **more):
        self._file.write(json.dumps({"event": event, "t": time.time(), **more}) + "\n")
        self._file.flush()


class ProjectJob:
    """A project, the protocols that import into it, and those that have made masks and local resolutions."""

    def __init__(self, folder):
        with open(os.path.join(folder, "job.json"), encoding="utf-8") as file:
            self.order = json.load(file)
        self.folder = os.path.abspath(folder)
        self.told = Told(self.order["progress"])
        self.halves = self.order["half1"] is not None
        self.sources = {}
        """Role -> protocol and name of its output."""
        self.localMaps = {}
        """Method -> protocol and name of the output that is its local resolution."""
        self.project = None

    def run(self):
        """Import, run every method, and compare; return how many methods gave a result."""
        self.told("plan", steps=["import", *self.order["methods"]])
        with self._step("import"):
            self._makeProject()
        if "map" not in self.sources:
            return 0
        done = [self._runMethod(name) for name in self.order["methods"]]
        return sum(done)

    # --------------------------- IMPORT ---------------------------------------

    def _makeProject(self):
        from pwem.protocols import ProtImportMask, ProtImportPdb, ProtImportVolumes
        from pyworkflow.project import Manager

        loadPlugins()
        self.project = Manager().createProject(self.order["project"])
        os.chdir(self.project.path)
        order, sampling = self.order, self.order["sampling"]
        halves = {"setHalfMaps": True, "half1map": order["half1"], "half2map": order["half2"]} if self.halves else {}
        imports = {
            "map": (
                ProtImportVolumes, "outputVolume", {"filesPath": order["full"], "samplingRate": sampling, **halves}
            ),
            "mask": (ProtImportMask, "outputMask", {"maskPath": order["mask"], "samplingRate": sampling}),
            "sharpened": (
                ProtImportVolumes, "outputVolume", {"filesPath": order["sharpened"], "samplingRate": sampling}
            ),
            "model": (ProtImportPdb, "outputPdb", {"inputPdbData": 1, "pdbFile": order["model"], "skipChimera": True}),
        }  # fmt: skip
        for role, (protocolClass, output, values) in imports.items():
            if role == "map" or order[role] is not None:
                protocol = self.project.newProtocol(protocolClass, **values)
                protocol.setObjLabel("your sharpened map" if role == "sharpened" else f"import {role}")
                self._launch(protocol)
                self.sources[role] = (protocol, output)

    # --------------------------- METHODS --------------------------------------

    def _runMethod(self, name):
        """Run one method; return whether it gave a result. Another may work where this one does not."""
        with self._step(name) as step:
            protocol = self._protocol(name)
            if protocol is None:
                raise RuntimeError("Fewer than two methods gave a local resolution: there is nothing to compare.")
            protocol.numberOfThreads.set(self.order["threads"])
            self._launch(protocol, name)
            step["folder"] = os.path.relpath(os.path.abspath(protocol._resultFolder()), self.folder)
            if name in LOCAL:
                self.localMaps[name] = (protocol, protocol._resolutionOutput)
            if "mask" not in self.sources and hasattr(protocol, "outputMask") and name in LOCAL:
                # From here on all methods look at the same voxels.
                self.sources["mask"] = (protocol, "outputMask")
        return "folder" in step

    def _protocol(self, name):
        """Return the protocol of a method with its form filled in, None where that cannot be done."""
        from cryoresplugin import protocols

        if name == "compare":
            return self._comparison(protocols.CryoresProtCompare)
        classes = {one._method: one for one in vars(protocols).values() if isinstance(one, type)}
        values, pointers = getattr(self, f"_{name}Form", self._usualForm)()
        protocol = self.project.newProtocol(classes[name], **values)
        for field, role in pointers.items():
            if role in self.sources:
                self._point(getattr(protocol, field), *self.sources[role])
        if name == "localdeblur" and self.localMaps:
            self._point(protocol.resolutionVolume, *next(iter(self.localMaps.values())))
        if name == "verdict" and "sharpened" in self.sources:
            self._append(protocol.sharpenedMaps, *self.sources["sharpened"])
        return protocol

    def _comparison(self, protocolClass):
        if len(self.localMaps) < 2:
            return None
        protocol = self.project.newProtocol(protocolClass, names=", ".join(self.localMaps))
        for parent, output in self.localMaps.values():
            self._append(protocol.resolutionMaps, parent, output)
        for field in ("map", "mask"):
            if field in self.sources:
                self._point(getattr(protocol, field), *self.sources[field])
        return protocol

    @staticmethod
    def _point(pointer, parent, output):
        pointer.set(parent)
        pointer.setExtended(output)

    @staticmethod
    def _append(pointers, parent, output):
        from pyworkflow.object import Pointer

        pointers.append(Pointer(parent, extended=output))

    def _settings(self, **fields):
        """Return field of the form -> value, of the settings that were given."""
        given = self.order["settings"]
        return {field: given[name] for field, name in fields.items() if name in given}

    def _usualForm(self):
        """Return field -> value and field -> role of the form that is not named below: that of `CryoresHalves`."""
        return {}, {"inputVolume": "map", "mask": "mask"}

    def _fscForm(self):
        return {}, {"inputVolume": "map", "mask": "mask", "model": "model"}

    def _monoresForm(self):
        values = self._settings(minRes="min_resolution", maxRes="max_resolution")
        if self.halves:
            return {"useHalfVolumes": True, **values}, {"associatedHalves": "map", "mask": "mask"}
        return values, {"fullMap": "map", "mask": "mask"}

    def _blocresForm(self):
        # 0 is "choose it": six times the global resolution, and Nyquist.
        values = {"box": 0, "maxresolution": 0, **self._settings(box="box", maxresolution="min_resolution")}
        return values, {"inputVolume": "map", "mask": "mask"}

    def _deepresForm(self):
        return {}, {"inputVolume": "map", "Mask": "mask"}

    def _resmapForm(self):
        values = {
            "applyMask": "mask" in self.sources,
            **self._settings(minRes="min_resolution", maxRes="max_resolution"),
        }
        return values, {"volumeHalf1": "map", "maskVolume": "mask"}

    def _monodirForm(self):
        values = self._settings(minResolution="min_resolution", maxResolution="max_resolution")
        return {"useHalfMaps": self.halves, **values}, {"inputVolumes": "map", "Mask": "mask"}

    def _fsoForm(self):
        return {"halfVolumesFile": True}, {"inputHalves": "map", "mask": "mask"}

    def _postprocessForm(self):
        return {}, {"inputVolume": "map", "solventMask": "mask"}

    def _autosharpenForm(self):
        return self._halvesOrMap("resolution"), {"inputVolume": "map", "mask": "mask"}

    def _locspiralForm(self):
        return self._halvesOrMap("minResolution"), {"inputVolume": "map", "mask": "mask"}

    def _halvesOrMap(self, field):
        """Return what the forms of the new protocols call their input; ``field`` takes the resolution of one map."""
        return {"inputType": 0} if self.halves else {"inputType": 2, **self._settings(**{field: "resolution"})}

    def _localdeblurForm(self):
        return {}, {"inputVolume": "map"}

    def _deepemhancerForm(self):
        return {"useHalfMapsInsteadVol": self.halves}, {"inputVolume": "map"}

    def _verdictForm(self):
        return {}, {"inputVolume": "map", "mask": "mask", "model": "model"}

    def _evaluateForm(self):
        if "sharpened" in self.sources:
            return {}, {"map": "sharpened", "before": "map", "model": "model"}
        return {}, {"map": "map", "model": "model"}

    # --------------------------- RUN ------------------------------------------

    @contextlib.contextmanager
    def _step(self, name):
        """Tell when a step begins, and how it ends; a step that fails stops no other."""
        self.told("begin", step=name)
        found = {}
        try:
            yield found
        except Exception as error:
            found.clear()
            self.told("failed", step=name, message=str(error).strip() or type(error).__name__)
        else:
            self.told("done", step=name, **found)

    def _launch(self, protocol, step="import"):
        """Run a protocol as the desktop does, and tell what the engine says meanwhile."""
        ended = threading.Event()
        listener = threading.Thread(target=self._listen, args=(protocol, step, ended), daemon=True)
        self.project.saveProtocol(protocol)
        listener.start()
        try:
            self.project.launchProtocol(protocol, wait=True)
        finally:
            ended.set()
            listener.join()
        if not protocol.isFinished():
            raise RuntimeError(_sentence(protocol.getErrorMessage()) or "The protocol failed and did not say why.")

    def _listen(self, protocol, step, ended):
        """Tell the last line that the engine wrote, whenever there is another."""
        last = ""
        while not ended.wait(TOLD_EVERY):
            lines = protocol._readStderr().strip().splitlines() if hasattr(protocol, "_readStderr") else []
            if lines and lines[-1] != last:
                last = lines[-1]
                self.told("said", step=step, line=last)


def _sentence(message):
    """Return a protocol's error without Scipion's frame around it."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", message or "")
    return " ".join(re.sub(r"Protocol has validation errors:|^\s*Protocol failed:", "", plain).split())


def main(words):
    """Run the job in the folder that is named; ``--check`` only tries to start Scipion."""
    if words == ["--check"]:
        loadPlugins()
        import cryoresplugin.protocols  # noqa: F401

        return 0
    return 0 if ProjectJob(words[0]).run() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
