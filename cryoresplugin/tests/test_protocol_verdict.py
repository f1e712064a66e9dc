"""A verdict in a project: B-factors and maps of other protocols, named after their runs, and what the viewer shows."""

import numpy as np
from pyworkflow.object import Pointer

from cryoresplugin.protocols import CryoresProtPostprocess, CryoresProtVerdict
from cryoresplugin.tests.project import CryoresTest, written
from cryoresplugin.viewers import CryoresVerdictViewer


class TestVerdict(CryoresTest):
    def test_b_factors_and_a_given_map_are_judged_together(self):
        volume = (self.full, "outputVolume")
        sharpened = self.make(CryoresProtPostprocess, {"inputVolume": volume}, bfactor=-40.0)
        sharpened.setObjLabel("by another run")
        self.launchProtocol(sharpened)
        protocol = self.make(CryoresProtVerdict, {"inputVolume": volume}, bfactors="0, -80", against=1)
        protocol.sharpenedMaps.append(Pointer(sharpened, extended="outputVolume"))
        self.launchProtocol(protocol)
        summary = protocol.readReport()["summary"]
        self.assertEqual(list(summary["maps"]), ["B = 0", "B = -80", "by another run"])
        self.assertEqual(summary["bfactors"], [0.0, -80.0])
        best = summary["maps"][summary["best"]]
        deep = written(protocol.resolution_Volume).data
        held = written(protocol.halves_resolution_Volume).data
        judged = (deep > 0) & (held > 0)
        self.assertAlmostEqual(best["median"], np.median(deep[judged]), places=3)
        self.assertAlmostEqual(summary["half_maps"]["p20"], np.percentile(held[judged], 20), places=3)
        for output in (protocol.outputVolume, protocol.resolution_Volume, protocol.halves_resolution_Volume):
            self.assertEqual(output.getOrigin().getShifts(), self.full.outputVolume.getOrigin().getShifts())
            self.assertAlmostEqual(output.getSamplingRate(), self.full.outputVolume.getSamplingRate())
        self.assertIn("by another run: ", "\n".join(protocol._summary()))
        viewer = CryoresVerdictViewer(project=self.proj)
        viewer.setProtocol(protocol)
        self.assertEveryEntryShows(viewer)
        self.assertEqual(len(viewer._showHistograms()[0].getFigure().axes), 4)
        line = viewer._showTrend()[0].getFigure().axes[0].lines[0]
        self.assertEqual(list(line.get_xdata()), [0.0, -80.0])

    def test_b_factors_that_are_no_numbers_are_told_with_their_field(self):
        protocol = self.make(CryoresProtVerdict, {"inputVolume": (self.full, "outputVolume")}, bfactors="0, much")
        (said,) = protocol._validate()
        self.assertTrue(said.startswith("E_PARAMETER: \"B-factors (Å²)\": 'much' is not a finite number"), said)

    def test_a_form_without_halves_says_so(self):
        protocol = self.newProtocol(CryoresProtVerdict)
        self.assertIn("Give the volume that has the half maps.", protocol._validate())
