"""Viewers that need neither xmipp3, Java nor ChimeraX."""

from cryoresplugin.viewers.viewer_fsc import CryoresFSCViewer
from cryoresplugin.viewers.viewer_localres import CryoresLocalResolutionViewer

__all__ = ["CryoresFSCViewer", "CryoresLocalResolutionViewer"]
