"""Write the page about errors: `python -m penstock.classifiers > docs/errors.md`."""

import sys

from penstock.classifiers._page import errors_page

sys.stdout.write(errors_page())
