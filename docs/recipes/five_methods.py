"""Five methods on a volume and its half maps, in a Scipion project of their own; prints the median of each in Å.

scipion3 python five_methods.py FULL HALF1 HALF2 SAMPLING [QUEUE]

With QUEUE, a queue that hosts.conf names, all are submitted at once, each as a job; without, they run in turn.
"""

import os
import sys
import time

from pyworkflow import Config
from pyworkflow.project import Manager

Config.getDomain().getPlugins()
from pwem.protocols import ProtImportVolumes
from cryoresplugin.protocols import (
    CryoresProtBlocres,
    CryoresProtLocres,
    CryoresProtMonoRes,
    CryoresProtRelionLocres,
    CryoresProtResMap,
)

full, half1, half2 = map(os.path.abspath, sys.argv[1:4])
sampling, queue = float(sys.argv[4]), (sys.argv[5:] or [None])[0]

project = Manager().createProject("five_methods")
os.chdir(project.path)
imported = project.newProtocol(
    ProtImportVolumes, filesPath=full, samplingRate=sampling, setHalfMaps=True, half1map=half1, half2map=half2
)
project.launchProtocol(imported, wait=True)

# The field that takes the volume is called as in the program that each replaces.
runs = {
    "MonoRes": ("associatedHalves", project.newProtocol(CryoresProtMonoRes, useHalfVolumes=True)),
    "blocres": ("inputVolume", project.newProtocol(CryoresProtBlocres, box=0, maxresolution=0)),
    "ResMap": ("volumeHalf1", project.newProtocol(CryoresProtResMap)),
    "RELION": ("inputVolume", project.newProtocol(CryoresProtRelionLocres)),
    "locres": ("inputVolume", project.newProtocol(CryoresProtLocres)),
}
for field, run in runs.values():
    getattr(run, field).set(imported)
    getattr(run, field).setExtended("outputVolume")
    if queue:
        run._useQueue.set(True)
        run.setQueueParams((queue, {"JOB_MEMORY": "8192"}))  # what hosts.conf asks for, see docs/tasks/clusters.rst
    project.launchProtocol(run, wait=not queue)

for name, (_, run) in runs.items():
    run = project.getProtocol(run.getObjId())
    while not (run.isFinished() or run.isFailed() or run.isAborted()):
        time.sleep(2)
        project._updateProtocol(run)
    if run.isFinished():
        print(f"{name}: median {run.readReport()['summary']['median']:.2f} Å")
    else:
        print(f"{name}: {run.getErrorMessage()}")
