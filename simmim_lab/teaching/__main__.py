"""`python -m simmim_lab.teaching` is `simmim-course`."""

import sys

from simmim_lab.teaching.cli import main

sys.exit(main())
