"""Viewers that need neither xmipp3, Java nor ChimeraX."""

from importlib.util import find_spec

from cryoresplugin.viewers.viewer_compare import CryoresCompareViewer
from cryoresplugin.viewers.viewer_evaluate import CryoresEvaluateViewer
from cryoresplugin.viewers.viewer_fsc import CryoresFSCViewer
from cryoresplugin.viewers.viewer_fso import CryoresFSOViewer
from cryoresplugin.viewers.viewer_localmap import CryoresLocalMapViewer
from cryoresplugin.viewers.viewer_localres import CryoresLocalResolutionViewer
from cryoresplugin.viewers.viewer_monodir import CryoresMonoDirViewer
from cryoresplugin.viewers.viewer_postprocessing import CryoresPostprocessingViewer
from cryoresplugin.viewers.viewer_verdict import CryoresVerdictViewer

__all__ = [
    "CryoresCompareViewer",
    "CryoresEvaluateViewer",
    "CryoresFSCViewer",
    "CryoresFSOViewer",
    "CryoresLocalMapViewer",
    "CryoresLocalResolutionViewer",
    "CryoresMonoDirViewer",
    "CryoresPostprocessingViewer",
    "CryoresVerdictViewer",
]

if find_spec("tomo") is not None:
    from cryoresplugin.viewers.viewer_tomograms import CryoresTomogramsViewer

    __all__ += ["CryoresTomogramsViewer"]
