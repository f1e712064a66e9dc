"""``python -m cryores`` is the ``cryores`` command."""

import sys

from cryores.cli import main

sys.exit(main())
