"""Scipion's real window on a display: every form opened, wizards pressed, a viewer opened. Run as a script.

``desktop.py MAPS [PICTURES]``: MAPS is a folder of ``cryores simulate``; PICTURES receives a screenshot of every form.
It prints what it found as JSON.
"""

import json
import os
import sys

import pyworkflow
import pyworkflow.gui.project  # before the form's module, which needs it
from pwem.protocols import ProtImportMask, ProtImportVolumes
from pyworkflow.gui.form import FormWindow
from pyworkflow.gui.gui import Window
from pyworkflow.project import Manager
from pyworkflow.protocol.constants import LEVEL_ADVANCED


def main(maps, pictures=None):
    domain = pyworkflow.Config.getDomain()
    domain.getPlugins()
    project = Manager().createProject("Desktop")
    os.chdir(project.path)
    desk = Desk(project, pictures)
    protocols = {n: c for n, c in domain.getProtocols().items() if c.__module__.startswith("cryoresplugin")}
    found = {"forms": {name: desk.form(protocols[name]) for name in sorted(protocols)}}
    found["viewers"] = {
        name: [v.__module__ for v in domain.findViewers(c(), "tkinter")] for name, c in protocols.items()
    }
    imported, mask = desk.imported(maps)
    found["wizards"] = desk.wizards(imported, mask)
    found["viewer"] = desk.viewer(imported)
    print(json.dumps(found))


class Desk:
    """A project, the window that all others belong to, and where pictures go."""

    def __init__(self, project, pictures, window=None):
        self.project, self.pictures = project, pictures
        self.window = window or Window("desk")

    def form(self, protocolClass):
        """Open the form of a protocol as Scipion does; return its size, its labels, and what is cut off."""
        protocol = self.project.newProtocol(protocolClass)
        protocol.expertLevel.set(LEVEL_ADVANCED)
        form = self.opened(protocol)
        cut = []
        for number, section in enumerate(form._sections):
            section.master.select(number)
            form.root.update()
            right = form.root.winfo_rootx() + form.root.winfo_width()
            cut += [name for name, widget in form.widgetDict.items() if _leaves(getattr(widget, "label", None), right)]
            self.photograph(form, f"{protocolClass.__name__}-{number}")
        header = form.root.nametowidget("main.header")
        logo = [child for child in header.winfo_children() if child.cget("image") and "cryores" in child.cget("text")]
        size = form.root.winfo_reqwidth(), form.root.winfo_reqheight()
        wizards = sorted(form.wizards)
        form.root.destroy()
        return {"size": size, "cut": cut, "logo": len(logo), "wizards": wizards}

    def opened(self, protocol):
        """Return the form's window of a protocol, shown; what it would say in a dialog is kept in ``said``."""
        form = FormWindow(f"Protocol Run: {protocol.getClassName()}", protocol, lambda *a, **k: None, self.window)
        form.said = []
        form.showError = form.showInfo = lambda text, *a, **k: form.said.append(text)
        form.root.deiconify()
        form.root.update()
        form.root.geometry(f"{form.root.winfo_reqwidth()}x{form.root.winfo_reqheight()}+0+0")
        form.root.update()
        return form

    def photograph(self, window, name):
        """Write what the screen shows where a window is."""
        if self.pictures:
            from PIL import ImageGrab

            root = window.root
            root.lift()
            root.update()
            x, y = root.winfo_rootx(), root.winfo_rooty()
            box = (x, y, x + root.winfo_width(), y + root.winfo_height())
            os.makedirs(self.pictures, exist_ok=True)
            ImageGrab.grab(box, xdisplay=os.environ["DISPLAY"]).save(os.path.join(self.pictures, f"{name}.png"))

    def imported(self, maps):
        """Import the half maps and the mask of a simulation; return the two protocols."""
        whole = self.project.newProtocol(
            ProtImportVolumes, filesPath=f"{maps}/clean.mrc", samplingRate=1.5, setHalfMaps=True,
            half1map=f"{maps}/half1.mrc", half2map=f"{maps}/half2.mrc",
        )  # fmt: skip
        mask = self.project.newProtocol(ProtImportMask, maskPath=f"{maps}/mask.mrc", samplingRate=1.5)
        for protocol in (whole, mask):
            self.project.launchProtocol(protocol, wait=True)
        return whole, mask

    def pointed(self, protocolClass, pointers, **options):
        """Return a new protocol whose pointers (field -> protocol, output) are set."""
        protocol = self.project.newProtocol(protocolClass, **options)
        for field, (parent, output) in pointers.items():
            getattr(protocol, field).set(parent)
            getattr(protocol, field).setExtended(output)
        return protocol

    def wizards(self, imported, mask):
        """Press wizards of filled-in and of empty forms; return what the fields then hold, or what was said."""
        from cryoresplugin.protocols import CryoresProtBlocres, CryoresProtLocSpiral, CryoresProtMonoRes

        halves = (imported, "outputVolume")
        monores = self.pointed(
            CryoresProtMonoRes, {"associatedHalves": halves, "mask": (mask, "outputMask")}, useHalfVolumes=True
        )
        blocres = self.pointed(CryoresProtBlocres, {"inputVolume": halves, "mask": (mask, "outputMask")})
        spiral = self.pointed(CryoresProtLocSpiral, {"inputVolume": halves, "mask": (mask, "outputMask")})
        single = self.pointed(CryoresProtMonoRes, {"fullMap": halves})
        found = {
            "range": self.pressed(monores, "minRes", "maxRes"),
            "finest": self.pressed(blocres, "maxresolution"),
            "box": self.pressed(blocres, "box"),
            "global": self.pressed(spiral, "minResolution"),
            "one map": self.pressed(single, "minRes"),
            "empty": self.pressed(self.project.newProtocol(CryoresProtMonoRes), "minRes"),
            "no mask": self.pressed(single, "maskThreshold"),
        }
        self.window.getRoot().after(400, self.moveThreshold)
        found["threshold"] = self.pressed(monores, "maskThreshold")
        return found

    def pressed(self, protocol, field, *more):
        """Press the wizard beside a field; return the values of the fields in the form, and what was said."""
        form = self.opened(protocol)
        form.wizards[field]().show(form)
        form.root.update()
        values = [getattr(protocol, name).get() for name in (field, *more)]
        form.root.destroy()
        return {"values": values, "said": form.said}

    def moveThreshold(self):
        """Move the slider of the dialog that is open, and accept it."""
        from cryoresplugin.wizards.wizard_mask import MaskThresholdDialog

        dialogs = [w for w in below(self.window.getRoot()) if isinstance(w, MaskThresholdDialog)]
        if not dialogs or not dialogs[0].winfo_viewable():
            self.window.getRoot().after(200, self.moveThreshold)
            return
        dialog = dialogs[0]
        dialog.threshold.set(0.75)
        dialog._redraw()
        dialog.update()
        self.photograph(Rooted(dialog), "mask-threshold")
        dialog._handleResult(0)

    def viewer(self, imported):
        """Run MonoRes, open its viewer, and return what the form of the viewer has."""
        from cryoresplugin.protocols import CryoresProtMonoRes

        run = self.pointed(CryoresProtMonoRes, {"associatedHalves": (imported, "outputVolume")}, useHalfVolumes=True)
        self.project.launchProtocol(run, wait=True)
        viewer = pyworkflow.Config.getDomain().findViewers(run, "tkinter")[0](
            project=self.project, protocol=run, parent=self.window
        )
        viewer.setProtocol(run)
        form = FormWindow("Protocol Viewer", viewer, viewer._viewAll, self.window, visualizeMode=True,
                          visualizeDict=viewer._getVisualizeDict())  # fmt: skip
        form.root.deiconify()
        form.root.update()
        form.root.geometry(f"{form.root.winfo_reqwidth()}x{form.root.winfo_reqheight()}+0+0")
        form.root.update()
        self.photograph(form, "viewer")
        found = {"size": (form.root.winfo_reqwidth(), form.root.winfo_reqheight()), "wizards": sorted(form.wizards)}
        form.root.destroy()
        return found


class Rooted:
    """A window of Tk where one of Scipion is wanted."""

    def __init__(self, root):
        self.root = root


def _leaves(label, right):
    return label is not None and label.winfo_ismapped() and label.winfo_rootx() + label.winfo_reqwidth() > right


def below(widget):
    for child in widget.winfo_children():
        yield child
        yield from below(child)


if __name__ == "__main__":
    main(*sys.argv[1:])
