"""Q-scores against those that MapQ wrote for EMD-30342, and the published resolution of deposited maps."""

import gemmi
import numpy as np
import pytest

from cryores.atoms import heavy_atoms, read_model
from cryores.mapio import read_map
from cryores.postprocessing import evaluate
from cryores.postprocessing._qscore import q_scores


def published_scores(path):
    block = gemmi.cif.read(str(path)).sole_block()
    table = block.find("_atom_site.", ["type_symbol", "Q_score"])
    return np.array([float(row[1]) for row in table if row[0] != "H"])


def test_q_scores_are_those_of_the_published_program(shared_data):
    folder = shared_data / "maps" / "EMD-30342_integrin_Qscore"
    published = published_scores(folder / "390_7cec_A__Q__390_emd_30342_A_z4.cif")
    atoms = heavy_atoms(read_model(folder / "390_7cec_A.cif"))
    scores = q_scores(read_map(folder / "390_emd_30342_A_z4.mrc"), atoms.positions, 0.6)
    assert len(scores) == len(published) == 4308
    assert np.corrcoef(scores, published)[0, 1] > 0.985
    assert scores.mean() == pytest.approx(published.mean(), abs=0.01)
    assert np.sqrt(np.mean((scores - published) ** 2)) < 0.04


# Map, model, resolution of the manifest at map-model FSC 0.5, and the bounds of the mean Q-score.
DEPOSITED = {
    "EMD-3488": ("EMD-3488_hemoglobin/emd_3488.map", "EMD-3488_hemoglobin/5ni1.pdb", 3.18),
    "EMD-20026": (
        "EMD-20026_apoferritin/QScore_Apoferritin_Tutorial/emd20026_prot.mrc",
        "EMD-20026_apoferritin/QScore_Apoferritin_Tutorial/3ajo_fitted_refined.pdb",
        2.02,
    ),
}


@pytest.mark.parametrize("entry", DEPOSITED)
def test_map_model_fsc_of_deposited_maps(shared_data, entry):
    path, model, resolution = DEPOSITED[entry]
    found = evaluate(read_map(shared_data / "maps" / path), str(shared_data / "maps" / model)).measures()
    assert found["model_fsc_0.5"]["after"] == pytest.approx(resolution, rel=0.05)
    # Pintilie et al. 2020: the mean Q-score of proteins falls from 0.8 at 1.8 Å to 0.55 at 3.2 Å, give or take 0.1.
    expected = 0.8 - 0.25 / 1.4 * (resolution - 1.8)
    assert found["q_score"]["after"] == pytest.approx(expected, abs=0.12)
