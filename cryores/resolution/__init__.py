"""The local and global resolution methods, one file each, under their own names: ``resolution.NAME(maps, ...)``."""

from cryores.resolution.blocres import blocres as blocres
from cryores.resolution.blocres_shells import blocres_shells as blocres_shells
from cryores.resolution.compare import compare as compare
from cryores.resolution.deepres import deepres as deepres
from cryores.resolution.fsc import fsc as fsc
from cryores.resolution.fso import fso as fso
from cryores.resolution.locres import locres as locres
from cryores.resolution.monodir import monodir as monodir
from cryores.resolution.monores import monores as monores
from cryores.resolution.monotomo import monotomo as monotomo
from cryores.resolution.relion_locres import relion_locres as relion_locres
from cryores.resolution.resmap import resmap as resmap
