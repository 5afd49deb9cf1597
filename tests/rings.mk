# SPDX-License-Identifier: MIT
# Which rings `make test` runs, of: unit kernel guest system.
RINGS := unit kernel guest system
