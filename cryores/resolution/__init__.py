"""The local and global resolution methods, one file each, under their own names: ``resolution.NAME(maps, ...)``."""

from cryores.resolution.blocres import blocres  # noqa: F401
from cryores.resolution.blocres_shells import blocres_shells  # noqa: F401
from cryores.resolution.compare import compare  # noqa: F401
from cryores.resolution.deepres import deepres  # noqa: F401
from cryores.resolution.fsc import fsc  # noqa: F401
from cryores.resolution.fso import fso  # noqa: F401
from cryores.resolution.monodir import monodir  # noqa: F401
from cryores.resolution.monores import monores  # noqa: F401
from cryores.resolution.monotomo import monotomo  # noqa: F401
from cryores.resolution.relion_locres import relion_locres  # noqa: F401
from cryores.resolution.resmap import resmap  # noqa: F401
