"""MonoTomo in a project with scipion-em-tomo: from sets of tomograms to values, and what the viewer shows."""

import time
import unittest
from importlib.util import find_spec

import numpy as np
from pwem.protocols import ProtImportMask

from cryores.mapio import read_map, write_map
from cryores.resolution import monotomo
from cryores.volume import Grid, HalfMaps, Volume
from cryoresplugin.tests.project import CryoresTest, written

TOMO = find_spec("tomo") is not None
if TOMO:
    from tomo.protocols import ProtImportTomograms

    from cryoresplugin.protocols import CryoresProtMonoTomo
    from cryoresplugin.protocols.protocol_monotomo import OUTPUT
    from cryoresplugin.viewers import CryoresTomogramsViewer

SAMPLING = 4.0
SHAPE = (32, 60, 64)
MONOTOMO_FIELDS = {
    "useAssociatedOddEven": True, "tomo": None, "oddTomograms": None, "evenTomograms": None, "useMask": False,
    "Mask": None, "minRes": 0, "maxRes": None, "stepSize": 0.5, "significance": 0.95, "numberOfThreads": 4,
}  # fmt: skip
CHOSEN = {"maxRes": 30.0, "stepSize": 2.0}


@unittest.skipUnless(TOMO, "scipion-em-tomo is not installed here")
class TestMonoTomo(CryoresTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tomograms = {name: cls.makeHalves(seed) for seed, name in enumerate(("TS_1", "TS_2"))}
        for name, halves in cls.tomograms.items():
            for kind, half in (("odd", halves.half1), ("even", halves.half2)):
                write_map(cls.file(f"{kind}_{name}"), half)
        inside = np.zeros(SHAPE, dtype=np.float32)
        inside[8:24, 12:48, 12:52] = 1
        cls.inside = Volume(inside, cls.tomograms["TS_1"].grid)
        write_map(cls.file("inside"), cls.inside)
        cls.odd, cls.even = (cls.importTomograms(kind) for kind in ("odd", "even"))
        cls.mask = cls.newProtocol(ProtImportMask, maskPath=cls.file("inside"), samplingRate=SAMPLING)
        cls.launchProtocol(cls.mask)
        cls.done = cls.makeMonoTomo(**CHOSEN)
        cls.launchProtocol(cls.done)

    @staticmethod
    def makeHalves(seed):
        rng = np.random.default_rng(seed)
        z, y, x = np.indices(SHAPE)
        ball = ((z - 16) ** 2 + (y - 30) ** 2 + (x - 32) ** 2 < 144) * rng.standard_normal(SHAPE)
        grid = Grid.regular(SHAPE, SAMPLING)
        one, two = (Volume((ball + 0.3 * rng.standard_normal(SHAPE)).astype(np.float32), grid) for _ in "12")
        return HalfMaps(one, two)

    @classmethod
    def importTomograms(cls, kind):
        protocol = cls.newProtocol(
            ProtImportTomograms, filesPath=cls.folder, filesPattern=f"{kind}_{{TS}}.mrc", samplingRate=SAMPLING
        )
        cls.launchProtocol(protocol)
        return protocol

    @classmethod
    def makeMonoTomo(cls, pointers=None, **options):
        pointers = pointers or {"oddTomograms": (cls.odd, "Tomograms"), "evenTomograms": (cls.even, "Tomograms")}
        return cls.make(CryoresProtMonoTomo, pointers, **{"useAssociatedOddEven": False, **options})

    def expected(self, name, mask=None):
        return monotomo(self.tomograms[name], mask, max_resolution=30.0, resolution_step=2.0)

    def test_output_has_the_engines_values_and_the_inputs_names(self):
        found = {tomogram.getTsId(): tomogram.clone() for tomogram in self.done.outputLocalResolutionSetOfTomograms}
        self.assertEqual(sorted(found), ["TS_1", "TS_2"])
        source = {tomogram.getTsId(): tomogram.clone() for tomogram in self.odd.Tomograms}
        expected = {name: self.expected(name) for name in found}
        for name, tomogram in found.items():
            self.assertSameResolution(tomogram, expected[name].resolution)
            self.assertAlmostEqual(tomogram.getSamplingRate(), SAMPLING, places=4)
            self.assertEqual(tomogram.getDim(), tuple(reversed(SHAPE)))
            self.assertEqual(tomogram.getOrigin().getShifts(), source[name].getOrigin().getShifts())
            self.assertFalse(tomogram.hasHalfMaps())
        self.assertAlmostEqual(self.done.outputLocalResolutionSetOfTomograms.getSamplingRate(), SAMPLING, places=4)
        parents = [o.getObjId() for o in self.proj.getSourceParents(self.done.outputLocalResolutionSetOfTomograms)]
        self.assertTrue({self.odd.getObjId(), self.even.getObjId()} <= set(parents))
        summary = "\n".join(self.done._summary())
        self.assertIn(f"TS_2: Median {expected['TS_2'].summary()['median']:.2f} Å", summary)
        self.assertEqual(self.done._citations(), ["Vilas2020Tomo"])

    def test_halves_that_are_associated_are_found_and_a_mask_is_kept(self):
        whole = self.linked()
        pointers = {"tomo": (whole, "linked"), "Mask": (self.mask, "outputMask")}
        protocol = self.makeMonoTomo(pointers, useAssociatedOddEven=True, useMask=True, **CHOSEN)
        self.assertEqual(protocol._validate(), [])
        self.launchProtocol(protocol)
        found = {tomogram.getTsId(): tomogram.clone() for tomogram in protocol.outputLocalResolutionSetOfTomograms}
        self.assertSameResolution(found["TS_1"], self.expected("TS_1", self.inside).resolution)
        self.assertTrue(np.all(written(found["TS_1"]).data[self.inside.data < 0.5] == 0))

    def test_a_set_that_grows_is_followed_until_it_is_closed(self):
        whole = self.linked(growing=True)
        protocol = self.makeMonoTomo({"tomo": (whole, "linked")}, useAssociatedOddEven=True, **CHOSEN)
        self.assertEqual(protocol._validate(), [])
        self.proj.launchProtocol(protocol, wait=False)
        first = self.waitFor(protocol, lambda found: hasattr(found, OUTPUT))
        self.assertTrue(getattr(first, OUTPUT).isStreamOpen())
        self.assertEqual([tomogram.getTsId() for tomogram in getattr(first, OUTPUT)], ["TS_1"])
        self.append(whole, "TS_2")
        whole.linked.setStreamState(whole.linked.STREAM_CLOSED)
        whole.linked.write()
        done = self.waitFor(protocol, lambda found: not found.isActive())
        self.assertTrue(done.isFinished(), done.getErrorMessage())
        output = getattr(done, OUTPUT)
        self.assertTrue(output.isStreamClosed())
        found = {tomogram.getTsId(): tomogram.clone() for tomogram in output}
        self.assertEqual(sorted(found), ["TS_1", "TS_2"])
        self.assertSameResolution(found["TS_2"], self.expected("TS_2").resolution)

    def waitFor(self, protocol, what):
        """Return the protocol as the project knows it as soon as ``what`` is true of it."""
        end = time.monotonic() + 240
        while time.monotonic() < end:
            self.proj._updateProtocol(protocol)
            if what(protocol):
                return protocol
            time.sleep(0.5)
        self.fail(f"waited too long: {protocol.getStatus()}")

    def append(self, whole, *names):
        for tomogram in self.odd.Tomograms:
            name = tomogram.getTsId()
            if name in names:
                copy = tomogram.clone()
                copy.setHalfMaps([self.file(f"odd_{name}"), self.file(f"even_{name}")])
                whole.linked.append(copy)
        whole.linked.write()

    def linked(self, growing=False):
        """Return a protocol with a set of tomograms that know their halves; of a growing one the first is there."""
        protocol = self.newProtocol(ProtImportTomograms, filesPath=self.folder, filesPattern="odd_{TS}.mrc",
                                    samplingRate=SAMPLING)  # fmt: skip
        self.launchProtocol(protocol)
        linked = protocol._createSetOfTomograms(suffix="Linked")
        linked.copyInfo(protocol.Tomograms)
        linked.setStreamState(linked.STREAM_OPEN if growing else linked.STREAM_CLOSED)
        protocol.linked = linked
        self.append(protocol, "TS_1", *([] if growing else ["TS_2"]))
        protocol._defineOutputs(linked=linked)
        return protocol

    def test_bad_forms_are_refused_in_words(self):
        self.assertEqual(self.newProtocol(CryoresProtMonoTomo)._validate(), ["Give the tomograms."])
        self.assertEqual(self.newProtocol(CryoresProtMonoTomo)._summary(), ["Not finished yet."])
        self.assertEqual(self.makeMonoTomo(**CHOSEN)._validate(), [])
        self.assertIn("E_PARAMETER", "\n".join(self.makeMonoTomo(significance=1.5)._validate()))
        self.assertIn("E_RANGE", "\n".join(self.makeMonoTomo(minRes=30.0, maxRes=20.0)._validate()))
        alone = self.makeMonoTomo({"tomo": (self.odd, "Tomograms")}, useAssociatedOddEven=True)
        self.assertEqual(alone._validate(), ["No odd and even halves are associated to: TS_1, TS_2"])
        same = {"oddTomograms": (self.odd, "Tomograms"), "evenTomograms": (self.odd, "Tomograms")}
        self.assertIn("E_HALVES_IDENTICAL", "\n".join(self.makeMonoTomo(same)._validate()))

    def test_fields_are_those_of_the_predecessor(self):
        self.assertFields(CryoresProtMonoTomo, MONOTOMO_FIELDS)

    def test_viewer_shows_the_tomogram_that_is_chosen(self):
        viewer = CryoresTomogramsViewer(project=self.proj)
        viewer.setProtocol(self.done)
        self.assertEveryEntryShows(viewer)
        for number, name in enumerate(self.done.finishedNames()):
            viewer.tomogram.set(number)
            values = read_map(f"{self.done.resultFolderOf(name)}/resolution.mrc").data
            axes = viewer._showHistogram()[0].getFigure().axes[0]
            counts = [patch.get_height() for patch in axes.patches]
            self.assertEqual(counts, np.histogram(values[values > 0], bins=60)[0].tolist())
        self.assertEqual(len(viewer._showColorSlices()[0].getFigure().axes), 5)
