"""A script for MonoRes and DeepRes of Xmipp and blocres of Bsoft, in which only the names of the classes were changed.

scipion3 python drop_in.py FULL HALF1 HALF2 MASK SAMPLING
"""

import os
import sys

from pyworkflow import Config
from pyworkflow.project import Manager

Config.getDomain().getPlugins()
from pwem.protocols import ProtImportMask, ProtImportVolumes

# It was:                                             It is:
# from xmipp3.protocols import XmippProtMonoRes       CryoresProtMonoRes
# from bsoft.protocols import BsoftProtBlocres        CryoresProtBlocres
# from xmipp3.protocols import XmippProtDeepRes       CryoresProtDeepRes
from cryoresplugin.protocols import CryoresProtBlocres, CryoresProtDeepRes, CryoresProtMonoRes

full, half1, half2, mask = map(os.path.abspath, sys.argv[1:5])
sampling = float(sys.argv[5])

project = Manager().createProject("drop_in")
os.chdir(project.path)


def launch(protocolClass, pointers=(), **fields):
    """Run a protocol whose pointers (field, protocol, output) are set, to its end."""
    protocol = project.newProtocol(protocolClass, **fields)
    for field, parent, output in pointers:
        getattr(protocol, field).set(parent)
        getattr(protocol, field).setExtended(output)
    project.launchProtocol(protocol, wait=True)
    return protocol


volume = launch(
    ProtImportVolumes, filesPath=full, samplingRate=sampling, setHalfMaps=True, half1map=half1, half2map=half2
)
first = launch(ProtImportVolumes, filesPath=half1, samplingRate=sampling)
second = launch(ProtImportVolumes, filesPath=half2, samplingRate=sampling)
particle = launch(ProtImportMask, maskPath=mask, samplingRate=sampling)

monores = launch(
    CryoresProtMonoRes,  # XmippProtMonoRes
    [("associatedHalves", volume, "outputVolume"), ("mask", particle, "outputMask")],
    useHalfVolumes=True, minRes=2 * sampling, maxRes=15.0, noiseOnlyInHalves=True,
)
blocres = launch(
    CryoresProtBlocres,  # BsoftProtBlocres
    [
        ("inputVolume", first, "outputVolume"),
        ("inputVolume2", second, "outputVolume"),
        ("mask", particle, "outputMask"),
    ],
    method=True, box=16, cutoff=0.5, step=2, maxresolution=2 * sampling, fill=0, pad=1, symmetry="", smooth=True,
)
deepres = launch(
    CryoresProtDeepRes,  # XmippProtDeepRes
    [("inputVolume", volume, "outputVolume"), ("Mask", particle, "outputMask")],
    range=0,
)

for run in (monores, blocres, deepres):
    print(run.getObjLabel() or run.getClassLabel(), os.path.abspath(run.resolution_Volume.getFileName()))
