"""`python -m latflow`: the same as the command `latflow`."""

import sys

from latflow.cli import main

sys.exit(main())
