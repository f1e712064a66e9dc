"""Viewers that need neither xmipp3, Java nor ChimeraX."""

from cryoresplugin.viewers.viewer_compare import CryoresCompareViewer
from cryoresplugin.viewers.viewer_fsc import CryoresFSCViewer
from cryoresplugin.viewers.viewer_fso import CryoresFSOViewer
from cryoresplugin.viewers.viewer_localmap import CryoresLocalMapViewer
from cryoresplugin.viewers.viewer_localres import CryoresLocalResolutionViewer
from cryoresplugin.viewers.viewer_postprocessing import CryoresPostprocessingViewer

__all__ = [
    "CryoresCompareViewer",
    "CryoresFSCViewer",
    "CryoresFSOViewer",
    "CryoresLocalMapViewer",
    "CryoresLocalResolutionViewer",
    "CryoresPostprocessingViewer",
]
