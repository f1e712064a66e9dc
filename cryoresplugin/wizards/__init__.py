"""Wizards of the forms: range, box and resolution from the half maps, mask threshold, noise region, colours."""

from pwem.wizards import ColorScaleWizardBase

from cryoresplugin.viewers import CryoresLocalResolutionViewer
from cryoresplugin.wizards.wizard_mask import CryoresMaskThresholdWizard
from cryoresplugin.wizards.wizard_noise import CryoresNoiseStatisticsWizard
from cryoresplugin.wizards.wizard_resolution import (
    CryoresBoxWizard,
    CryoresGlobalResolutionWizard,
    CryoresRangeWizard,
)

__all__ = [
    "CryoresBoxWizard",
    "CryoresColorScaleWizard",
    "CryoresGlobalResolutionWizard",
    "CryoresMaskThresholdWizard",
    "CryoresNoiseStatisticsWizard",
    "CryoresRangeWizard",
]


class CryoresColorScaleWizard(ColorScaleWizardBase):
    """Choose limits, intervals and colours with a preview."""

    _targets = ColorScaleWizardBase.defineTargets(CryoresLocalResolutionViewer)
