"""The forms that the web tool's jobs fill in."""

from pwem.objects import AtomStruct

from cryores.web.menu import MENU
from cryoresplugin.project_job import LOCAL, ProjectJob, _sentence
from cryoresplugin.tests.project import SAMPLING, CryoresTest


class TestProjectJob(CryoresTest):
    def job(self, halves, settings=None, **sources):
        """Return a job whose imports are done."""
        job = ProjectJob.__new__(ProjectJob)
        job.order = {"settings": settings or {}, "threads": 1}
        job.halves = halves
        job.project = self.proj
        job.sources = {"map": (self.full, "outputVolume"), **sources}
        job.localMaps = {}
        return job

    def testEveryOfferFillsAFormThatScipionAccepts(self):
        for halves in (True, False):
            job = self.job(halves, {"resolution": 4.0})
            for offer in MENU:
                if ("halves" if halves else "map") in offer.kinds and not offer.needs:
                    protocol = job._protocol(offer.name)
                    self.assertEqual(protocol._validate(), [], f"{offer.name}, halves: {halves}")

    def testLocalDeblurTakesTheFirstLocalResolutionOfTheJob(self):
        job = self.job(True)
        self.assertIsNone(job._protocol("localdeblur").resolutionVolume.get())
        job.localMaps = {"locres": (self.full, "outputVolume"), "monores": (None, "resolution_Volume")}
        pointer = job._protocol("localdeblur").resolutionVolume
        self.assertEqual(pointer.getUniqueId(), f"{self.full.getObjId()}.outputVolume")

    def testAModelIsHandedOn(self):
        model = self.newProtocol(type(self.full))
        model._defineOutputs(outputPdb=AtomStruct(filename="model.pdb"))
        job = self.job(True, model=(model, "outputPdb"))
        self.assertEqual(job._protocol("evaluate").model.getUniqueId(), f"{model.getObjId()}.outputPdb")
        self.assertEqual(job._protocol("fsc").model.getUniqueId(), f"{model.getObjId()}.outputPdb")

    def testSettingsReachTheForms(self):
        job = self.job(True, {"min_resolution": 3.5, "max_resolution": 12.0, "box": 16})
        monores, blocres = job._protocol("monores"), job._protocol("blocres")
        self.assertEqual((monores.minRes.get(), monores.maxRes.get()), (3.5, 12.0))
        self.assertEqual((blocres.maxresolution.get(), blocres.box.get()), (3.5, 16))
        self.assertTrue(monores.useHalfVolumes.get())
        self.assertEqual(self.full.outputVolume.getSamplingRate(), SAMPLING)

    def testALocalResolutionIsOneOfTheOutputs(self):
        job = self.job(True)
        for name in LOCAL:
            protocol = job._protocol(name)
            self.assertIn(protocol._resolutionOutput, protocol._possibleOutputs, name)

    def testAFailureIsToldInTheEnginesWords(self):
        said = "\x1b[31mProtocol failed: error E_RANGE: no band is left; hint: widen the range\x1b[0m"
        self.assertEqual(_sentence(said), "error E_RANGE: no band is left; hint: widen the range")

    def testTheComparisonTakesTwoOrMore(self):
        job = self.job(True)
        self.assertIsNone(job._protocol("compare"))
        job.localMaps = {"monores": (self.full, "outputVolume"), "blocres": (self.full, "outputVolume")}
        comparison = job._protocol("compare")
        self.assertEqual(comparison._missingInputs(), [])
        self.assertEqual(comparison.names.get(), "monores, blocres")
