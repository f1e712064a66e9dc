"""Scipion's real viewers on a display: of every protocol that was run, each eye is pressed. Run as a script.

``viewing.py FOLDER [PICTURES]``: below FOLDER are projects; PICTURES receives a screenshot of everything that opens.
It prints as JSON: protocol -> its viewer, the forms that opened, and what each of their eyes showed or said.
"""

import json
import os
import sys
import tkinter
import traceback
from pathlib import Path

import matplotlib.pyplot as plt
import pyworkflow
import pyworkflow.gui.project  # before the form's module, which needs it
from desktop import Desk, Rooted, below
from pyworkflow.gui.dialog import Dialog
from pyworkflow.gui.plotter import Plotter
from pyworkflow.project import Project
from pyworkflow.utils.properties import Message
from pyworkflow.viewer import ProtocolViewer

OFTEN = 30
"""Milliseconds between two looks at what is open."""

FORM = "Protocol Viewer:"
"""How the title of a viewer's form begins."""

EYE = Message.LABEL_BUTTON_VIS


def main(folder, pictures=None):
    domain = pyworkflow.Config.getDomain()
    domain.getPlugins()
    Plotter.setBackend("TkAgg")  # as Scipion's project window does
    plt.ion()  # pwem's viewer of attributes would wait until its figure is closed
    seen = {}
    looking = None
    for path in sorted(Path(folder).resolve().rglob("project.sqlite")):
        project = Project(domain, str(path.parent))
        project.load()
        looking = Looking(project, pictures and os.path.abspath(pictures), looking)
        for run in project.getRuns():
            name = run.getClassName()
            if name.startswith("Cryores") and name not in seen and run.isFinished():
                seen[name] = looking.at(run)
        if "no result" not in seen:
            from cryoresplugin.protocols import CryoresProtFSC, CryoresProtMonoRes

            new = (project.newProtocol(protocol) for protocol in (CryoresProtMonoRes, CryoresProtFSC))
            seen["no result"] = [looking.at(run) for run in new]
    print(json.dumps(seen))


class Looking(Desk):
    """Opens viewers, presses their eyes, and closes what that opens."""

    def __init__(self, project, pictures, before):
        super().__init__(project, pictures, before and before.window)
        # Form and label of the eyes that were pressed; a later form has its first eye pressed, and those that are new.
        self.pressed = before.pressed if before else set()
        self.window.root._root().report_callback_exception = fail
        self.run, self.forms, self.said, self.begun = None, {}, [], set()

    def at(self, run):
        """Open the viewer of a run as *Analyze results* does; return every form that opened, and what its eyes show."""
        self.run, self.forms, self.said, self.begun = run, {}, [], set()
        viewer = pyworkflow.Config.getDomain().findViewers(run, "tkinter")[0]
        made = viewer(project=self.project, protocol=run, parent=self.window)
        self.watch()
        if isinstance(made, ProtocolViewer):
            made.visualize(run, windows=self.window)
        else:
            made.visualize(run)
            self.forms[viewer.__name__] = {"": self.shown(viewer.__name__)}
        self.run = None
        return {"viewer": viewer.__name__, "forms": self.forms, "said": self.said}

    def watch(self):
        """Read and close the dialogs that are open, and press the eyes of the form that opened last."""
        if self.run is None:
            return
        self.window.root.after(OFTEN, self.watch)
        for widget in list(below(self.window.root)):
            if isinstance(widget, Dialog) and widget.winfo_viewable() and widget not in self.begun:
                self.begun.add(widget)
                self.said.append(" ".join(words(widget)))
                self.photograph(Rooted(widget), f"{self.run.getClassName()}-dialog")
                widget._handleResult(0)
                return
            if isinstance(widget, tkinter.Toplevel) and widget.title().startswith(FORM) and widget not in self.begun:
                self.begun.add(widget)
                self.pressEyesOf(widget)
                return

    def pressEyesOf(self, form):
        """Press every eye of a viewer's form, and close it."""
        name = form.title()[len(FORM) :].strip()
        form.geometry("+0+0")
        form.update()
        self.photograph(Rooted(form), f"{self.run.getClassName()}-{name}")
        eyes = self.forms[name] = {}
        for button in [one for one in below(form) if one.winfo_class() == "Button" and one.cget("text") == EYE]:
            label = labelBeside(button.master)
            if eyes and (name, label) in self.pressed:
                continue  # the same eye of the same viewer, on another protocol's run
            self.pressed.add((name, label))
            button.invoke()
            eyes[label] = self.shown(f"{self.run.getClassName()}-{label}")
        form.quit()
        form.destroy()

    def shown(self, name):
        """Return how many axes with something in them each open figure has, and what was said; close all."""
        axes = []
        for number in plt.get_fignums():
            figure = plt.figure(number)
            window = figure.canvas.manager.window
            figure.canvas.draw()
            window.update()
            self.photograph(Rooted(window), name.replace("/", " "))
            axes.append(sum(one.has_data() for one in figure.axes))
        plt.close("all")
        said, self.said = self.said, []
        return {"figures": axes, "said": said}


def fail(*error):
    """End at the first exception, which Tk would only print."""
    traceback.print_exception(*error)
    sys.stderr.flush()
    os._exit(1)


def labelBeside(frame):
    """Return the label of the row that a frame of buttons is in."""
    while "row" not in frame.grid_info():
        frame = frame.master
    row = frame.grid_info()["row"]
    beside = [one for one in frame.master.grid_slaves(row=row) if one.winfo_class() == "Label"]
    return beside[0].cget("text") if beside else f"row {row}"


def words(widget):
    """Return the texts of labels and text fields below a widget."""
    for child in below(widget):
        if child.winfo_class() == "Text":
            yield child.get("1.0", "end").strip()
        elif child.winfo_class() == "Label" and child.cget("text"):
            yield str(child.cget("text"))


if __name__ == "__main__":
    main(*sys.argv[1:])
