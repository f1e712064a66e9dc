"""The colour-scale wizard in the form of the local-resolution viewer."""

from pwem.wizards import ColorScaleWizardBase

from cryoresplugin.viewers import CryoresLocalResolutionViewer


class CryoresColorScaleWizard(ColorScaleWizardBase):
    """Choose limits, intervals and colours with a preview."""

    _targets = ColorScaleWizardBase.defineTargets(CryoresLocalResolutionViewer)
