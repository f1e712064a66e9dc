"""Post-processing: maps that are easier to read."""

from cryores.postprocessing.autosharpen import autosharpen  # noqa: F401
from cryores.postprocessing.blocfilt import blocfilt  # noqa: F401
from cryores.postprocessing.deepemhancer import deepemhancer  # noqa: F401
from cryores.postprocessing.evaluate import evaluate  # noqa: F401
from cryores.postprocessing.local_lowpass import local_lowpass  # noqa: F401
from cryores.postprocessing.localdeblur import localdeblur  # noqa: F401
from cryores.postprocessing.locbfactor import locbfactor  # noqa: F401
from cryores.postprocessing.locbsharpen import locbsharpen  # noqa: F401
from cryores.postprocessing.lococcupancy import lococcupancy  # noqa: F401
from cryores.postprocessing.locscale import locscale  # noqa: F401
from cryores.postprocessing.locspiral import locspiral  # noqa: F401
from cryores.postprocessing.postprocess import postprocess  # noqa: F401
from cryores.postprocessing.verdict import verdict  # noqa: F401
