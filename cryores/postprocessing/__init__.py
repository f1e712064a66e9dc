"""Post-processing: maps that are easier to read."""

from cryores.postprocessing.autosharpen import autosharpen as autosharpen
from cryores.postprocessing.blocfilt import blocfilt as blocfilt
from cryores.postprocessing.deepemhancer import deepemhancer as deepemhancer
from cryores.postprocessing.evaluate import evaluate as evaluate
from cryores.postprocessing.local_lowpass import local_lowpass as local_lowpass
from cryores.postprocessing.localdeblur import localdeblur as localdeblur
from cryores.postprocessing.locbfactor import locbfactor as locbfactor
from cryores.postprocessing.locbsharpen import locbsharpen as locbsharpen
from cryores.postprocessing.lococcupancy import lococcupancy as lococcupancy
from cryores.postprocessing.locscale import locscale as locscale
from cryores.postprocessing.locspiral import locspiral as locspiral
from cryores.postprocessing.postprocess import postprocess as postprocess
from cryores.postprocessing.verdict import verdict as verdict
