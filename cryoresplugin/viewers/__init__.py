"""Viewers that need neither xmipp3, Java nor ChimeraX."""

from importlib.util import find_spec

from cryoresplugin.viewers.viewer_compare import CryoresCompareViewer as CryoresCompareViewer
from cryoresplugin.viewers.viewer_evaluate import CryoresEvaluateViewer as CryoresEvaluateViewer
from cryoresplugin.viewers.viewer_fsc import CryoresFSCViewer as CryoresFSCViewer
from cryoresplugin.viewers.viewer_fso import CryoresFSOViewer as CryoresFSOViewer
from cryoresplugin.viewers.viewer_localmap import CryoresLocalMapViewer as CryoresLocalMapViewer
from cryoresplugin.viewers.viewer_localres import CryoresLocalResolutionViewer as CryoresLocalResolutionViewer
from cryoresplugin.viewers.viewer_monodir import CryoresMonoDirViewer as CryoresMonoDirViewer
from cryoresplugin.viewers.viewer_postprocessing import CryoresPostprocessingViewer as CryoresPostprocessingViewer
from cryoresplugin.viewers.viewer_verdict import CryoresVerdictViewer as CryoresVerdictViewer

if find_spec("tomo") is not None:
    from cryoresplugin.viewers.viewer_tomograms import CryoresTomogramsViewer as CryoresTomogramsViewer
