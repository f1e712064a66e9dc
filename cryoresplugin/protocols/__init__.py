"""One small file a method."""

from importlib.util import find_spec

from cryoresplugin.protocols.protocol_autosharpen import CryoresProtAutoSharpen
from cryoresplugin.protocols.protocol_blocfilt import CryoresProtBlocfilt
from cryoresplugin.protocols.protocol_blocres import CryoresProtBlocres
from cryoresplugin.protocols.protocol_blocres_shells import CryoresProtBlocresShells
from cryoresplugin.protocols.protocol_compare import CryoresProtCompare
from cryoresplugin.protocols.protocol_deepemhancer import CryoresProtDeepEMhancer
from cryoresplugin.protocols.protocol_deepres import CryoresProtDeepRes
from cryoresplugin.protocols.protocol_evaluate import CryoresProtEvaluate
from cryoresplugin.protocols.protocol_fsc import CryoresProtFSC
from cryoresplugin.protocols.protocol_fso import CryoresProtFSO
from cryoresplugin.protocols.protocol_local_lowpass import CryoresProtLocalLowpass
from cryoresplugin.protocols.protocol_localdeblur import CryoresProtLocalDeblur
from cryoresplugin.protocols.protocol_locbfactor import CryoresProtLocBFactor
from cryoresplugin.protocols.protocol_locbsharpen import CryoresProtLocBSharpen
from cryoresplugin.protocols.protocol_lococcupancy import CryoresProtLocOccupancy
from cryoresplugin.protocols.protocol_locres import CryoresProtLocres
from cryoresplugin.protocols.protocol_locscale import CryoresProtLocScale
from cryoresplugin.protocols.protocol_locspiral import CryoresProtLocSpiral
from cryoresplugin.protocols.protocol_monodir import CryoresProtMonoDir
from cryoresplugin.protocols.protocol_monores import CryoresProtMonoRes
from cryoresplugin.protocols.protocol_postprocess import CryoresProtPostprocess
from cryoresplugin.protocols.protocol_relion_locres import CryoresProtRelionLocres
from cryoresplugin.protocols.protocol_resmap import CryoresProtResMap
from cryoresplugin.protocols.protocol_verdict import CryoresProtVerdict

__all__ = [
    "CryoresProtAutoSharpen",
    "CryoresProtBlocfilt",
    "CryoresProtBlocres",
    "CryoresProtBlocresShells",
    "CryoresProtCompare",
    "CryoresProtDeepEMhancer",
    "CryoresProtDeepRes",
    "CryoresProtEvaluate",
    "CryoresProtFSC",
    "CryoresProtFSO",
    "CryoresProtLocBFactor",
    "CryoresProtLocBSharpen",
    "CryoresProtLocOccupancy",
    "CryoresProtLocScale",
    "CryoresProtLocSpiral",
    "CryoresProtLocalDeblur",
    "CryoresProtLocalLowpass",
    "CryoresProtLocres",
    "CryoresProtMonoDir",
    "CryoresProtMonoRes",
    "CryoresProtPostprocess",
    "CryoresProtRelionLocres",
    "CryoresProtResMap",
    "CryoresProtVerdict",
]

if find_spec("tomo") is not None:  # scipion-em-tomo knows tomograms; all the rest works without it
    from cryoresplugin.protocols.protocol_monotomo import CryoresProtMonoTomo

    __all__ += ["CryoresProtMonoTomo"]
