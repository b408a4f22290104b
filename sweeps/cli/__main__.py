"""`python -m sweeps.cli`, the same as `sweeps`."""

import sys

from sweeps.cli.main import main

sys.exit(main())
