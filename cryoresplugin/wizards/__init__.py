"""Wizards: the colour scale of the local-resolution viewer, and the noise statistics of DeepEMhancer."""

from pwem.wizards import ColorScaleWizardBase

from cryoresplugin.viewers import CryoresLocalResolutionViewer
from cryoresplugin.wizards.noise import CryoresNoiseStatisticsWizard  # noqa: F401


class CryoresColorScaleWizard(ColorScaleWizardBase):
    """Choose limits, intervals and colours with a preview."""

    _targets = ColorScaleWizardBase.defineTargets(CryoresLocalResolutionViewer)
