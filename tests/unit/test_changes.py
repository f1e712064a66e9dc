"""What a processing changed: differences and blobs."""

import numpy as np
import pytest

from cryores import Volume
from cryores.changes import changed_blobs, difference
from cryores.filters import gaussian
from cryores.fourier import filtered
from cryores.volume import Grid

GRID = Grid((40, 44, 48), (60.0, 66.0, 72.0), (40, 44, 48), origin=(5.0, -10.0, 20.0))
INSIDE = np.ones(GRID.shape, dtype=bool)
PLACES = ((10, 12, 14), (28, 30, 33), (12, 32, 36))


def blobs_at(places):
    data = np.zeros(GRID.shape, dtype=np.float32)
    for place in places:
        data[place] = 1.0
    smooth = filtered(data, gaussian(4.0), GRID, 1)
    noise = np.random.default_rng(0).standard_normal(GRID.shape)
    return Volume((smooth / smooth.max() + 0.02 * noise).astype(np.float32), GRID)


def test_a_blob_that_is_erased_is_found_where_it_was():
    went, came = changed_blobs(blobs_at(PLACES), blobs_at(PLACES[:2]), INSIDE)
    assert len(went) == 1 and came == []
    z, y, x = (first + i * 1.5 for first, i in zip(GRID.first_voxel, PLACES[2]))
    assert went[0].position == pytest.approx((x, y, z), abs=1.5)
    assert went[0].volume > 100 and went[0].peak > went[0].contour


def test_a_blob_that_is_made_up_is_found_and_scale_does_not_matter():
    after = blobs_at(PLACES)
    went, came = changed_blobs(blobs_at(PLACES[:2]), after.like(50 * after.data - 3), INSIDE)
    assert went == [] and len(came) == 1


def test_another_scale_is_no_difference():
    volume = blobs_at(PLACES)
    assert np.abs(difference(volume, volume.like(3 * volume.data + 1), INSIDE).data).max() < 1e-4
