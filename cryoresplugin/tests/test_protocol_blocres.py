"""blocres in a project: from the form to the values of the output."""

from cryores.resolution import blocres, blocres_shells
from cryoresplugin.protocols import CryoresProtBlocres
from cryoresplugin.tests.project import CryoresTest

BLOCRES_FIELDS = {
    "inputVolume": None, "inputVolume2": None, "mask": None, "method": True, "box": 20, "shell": 20, "cutoff": 0.5,
    "step": 1, "maxresolution": 2, "fill": None, "pad": 1, "symmetry": "", "smooth": True,
}  # fmt: skip


class TestBlocres(CryoresTest):
    def test_a_script_for_the_predecessor_needs_the_class_name_changed(self):
        both = self.importVolumes("half*")
        protocol = self.make(
            CryoresProtBlocres,
            {"inputVolume": (both, "outputVolumes.1"), "inputVolume2": (both, "outputVolumes.2")},
            method=True, box=16, cutoff=0.5, step=1, maxresolution=2, fill=0, pad=1, symmetry="", smooth=True,
        )  # fmt: skip
        self.launchProtocol(protocol)
        expected = blocres(self.halves, box=16, min_resolution=2.0)
        self.assertSameResolution(protocol.resolution_Volume, expected.resolution)
        self.assertEqual(protocol.outputMask.getDim(), (52, 48, 44))
        warnings = protocol.readReport()["warnings"]
        self.assertTrue(any("no mask was given" in warning for warning in warnings))
        told = [line for line in protocol._summary() if line.startswith("Warning: ")]
        self.assertEqual(told, [f"Warning: {warning}" for warning in warnings])

    def test_blocres_takes_the_halves_of_a_volume(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        protocol = self.make(CryoresProtBlocres, pointers, box=0, step=4, maxresolution=0, crossing=0, edge=2)
        self.launchProtocol(protocol)
        expected = blocres(self.halves, step=4, crossing="first", edge=2)
        self.assertSameResolution(protocol.resolution_Volume, expected.resolution)

    def test_blocres_fields_are_those_of_the_predecessor(self):
        self.assertFields(CryoresProtBlocres, BLOCRES_FIELDS)

    def test_the_predecessors_finest_resolution_is_no_reason_to_warn(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        left, asked = (self.make(CryoresProtBlocres, pointers, **given) for given in ({}, {"maxresolution": 6.0}))
        self.assertNotIn("--min-resolution", left._engineWords())
        self.assertFalse([warning for warning in left._warnings() if "Nyquist" in warning])
        words = asked._engineWords()
        self.assertEqual(words[words.index("--min-resolution") + 1], "6.0")

    def test_without_a_box_it_computes_shells(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        protocol = self.make(CryoresProtBlocres, pointers, method=False, shell=14, smooth=False, step=2, pad=2)
        self.launchProtocol(protocol)
        expected = blocres_shells(self.halves, thickness=14, smooth=False, step=2, min_resolution=2.0)
        self.assertSameResolution(protocol.resolution_Volume, expected.resolution)

    def test_the_padding_is_the_predecessors_factor(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        for pad in range(3):
            words = self.make(CryoresProtBlocres, pointers, pad=pad)._engineWords()
            self.assertEqual(words[words.index("--padding") + 1], str(pad))
