"""`python -m simmim_lab` is `simmim-lab`."""

import sys

from simmim_lab.cli import main

sys.exit(main())
