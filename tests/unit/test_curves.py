"""FSC curve files: what is written is read back, and the formats of EMDB, RELION and Xmipp are read."""

from xml.etree import ElementTree

import numpy as np
import pytest

from cryores.curves import Curve, csv_text, read_curve, read_star_table, star_text, xml_text
from cryores.errors import InputError

CURVE = Curve(np.array([0.0, 0.01, 0.02, 0.03]), np.array([1.0, 0.75, -0.125, 1e-7]), "a title")


def test_xml_comes_back(tmp_path):
    (tmp_path / "fsc.xml").write_text(xml_text(CURVE))
    back = read_curve(tmp_path / "fsc.xml")
    np.testing.assert_allclose(back.frequency, CURVE.frequency, rtol=1e-7)
    np.testing.assert_allclose(back.values, CURVE.values, rtol=1e-7)
    assert back.title == "a title"


def test_xml_has_the_layout_that_emdb_takes():
    root = ElementTree.fromstring(xml_text(CURVE))
    assert (root.tag, root.get("xaxis"), root.get("yaxis")) == ("fsc", "Resolution (A-1)", "Correlation Coefficient")
    assert [[item.tag for item in point] for point in root] == [["x", "y"]] * 4
    assert root[1].findtext("x") == "0.01"


def test_star_comes_back(tmp_path):
    columns = {
        "rlnSpectralIndex": np.arange(4),
        "rlnResolution": CURVE.frequency,
        "rlnFourierShellCorrelationCorrected": CURVE.values,
        "rlnFourierShellCorrelationUnmaskedMaps": CURVE.values / 2,
    }
    text = star_text({"rlnFinalResolution": 3.25, "name": "x"}, columns)
    (tmp_path / "fsc.star").write_text(text)
    preferred = read_curve(tmp_path / "fsc.star")
    np.testing.assert_allclose(preferred.values, CURVE.values, atol=5e-7)
    other = read_curve(tmp_path / "fsc.star", "rlnFourierShellCorrelationUnmaskedMaps")
    np.testing.assert_allclose(other.values, CURVE.values / 2, atol=5e-7)
    assert read_star_table(text, "rlnSpectralIndex")["rlnSpectralIndex"] == ["0", "1", "2", "3"]
    general = {
        words[0]: words[1]
        for words in (line.split() for line in text.split("loop_")[0].splitlines())
        if len(words) == 2
    }
    assert general == {"_rlnFinalResolution": "3.250000", "_name": "x"}


def test_csv_has_a_header_and_one_line_a_shell():
    assert csv_text({"shell": np.arange(2), "fsc": np.array([1.0, 0.5])}) == "shell,fsc\n0,1.000000\n1,0.500000\n"


def test_two_columns_are_read(tmp_path):
    (tmp_path / "fsc.dat").write_text("# comment\n0.001 1\n0.002 0.5\n")
    curve = read_curve(tmp_path / "fsc.dat")
    assert curve.frequency.tolist() == [0.001, 0.002] and curve.values.tolist() == [1.0, 0.5]


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.xml", "<fsc><coordinate><x>1</x></coordinate></fsc>"),
        ("a.xml", "<fsc>"),
        ("a.xml", "<fsc></fsc>"),
        ("a.star", "data_\nloop_\n_rlnResolution #1\n0.1\n"),
        ("a.star", "data_\nloop_\n_resolutionFRC #1\n0.1\n"),
        ("a.dat", "one two\n"),
        ("a.dat", "1\n2\n"),
    ],
)
def test_what_is_no_curve_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as raised:
        read_curve(tmp_path / name)
    assert raised.value.code == "E_CURVE"


def test_a_missing_file_and_a_missing_column_are_named(tmp_path):
    with pytest.raises(InputError) as raised:
        read_curve(tmp_path / "none.star")
    assert raised.value.code == "E_NO_FILE"
    (tmp_path / "a.star").write_text("data_\nloop_\n_rlnResolution #1\n_resolutionFRC #2\n0.1 1\n")
    with pytest.raises(InputError, match="rlnNothing"):
        read_curve(tmp_path / "a.star", "rlnNothing")


def test_relion_and_xmipp_tables_are_read(shared_data):
    peers = shared_data / "simulated" / "haemoglobin" / "peers"
    relion = read_curve(peers / "relion_postprocess.star")
    assert len(relion.frequency) == 57 and relion.title == "rlnFourierShellCorrelationCorrected"
    assert (relion.frequency[39], relion.values[39]) == (0.331633, 0.255388)
    xmipp = read_curve(peers / "xmipp_fsc.xmd")
    assert len(xmipp.frequency) == 56
    assert (xmipp.frequency[0], xmipp.values[0]) == (0.008503, 0.999877)
