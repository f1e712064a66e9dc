"""FSC viewer: the curves with their thresholds."""

from pwem.viewers import EmPlotter
from pyworkflow.viewer import DESKTOP_TKINTER, Viewer

from cryoresplugin.protocols import CryoresProtFSC
from cryoresplugin.viewers.results import ReportView, ResultViewer

THRESHOLDS = (0.143, 0.5)


class CryoresFSCViewer(ResultViewer, Viewer):
    """All curves over the frequency, and the report."""

    _label = "viewer FSC"
    _targets = [CryoresProtFSC]
    _environments = [DESKTOP_TKINTER]

    def _visualize(self, obj, **kwargs):
        return [self.plotCurves(obj), ReportView(obj._resultFolder(), self._tkRoot)]

    @staticmethod
    def plotCurves(protocol):
        """Return the plotter with a line for each curve and threshold."""
        plotter = EmPlotter(1, 1, mainTitle="Fourier shell correlation")
        axes = plotter.createSubPlot("", "frequency (1/Å)", "FSC")
        for name, (frequency, values) in protocol.readCurves().items():
            axes.plot(frequency, values, label=name)
        for threshold in THRESHOLDS:
            axes.axhline(threshold, color="gray", linestyle=":")
        resolution = protocol.readReport()["summary"]["resolution"]["0.143"]
        if resolution:
            axes.axvline(1 / resolution, color="black", linestyle="--", label=f"{resolution:.2f} Å at 0.143")
        axes.legend()
        return plotter
