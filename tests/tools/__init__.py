# SPDX-License-Identifier: MIT
"""Tests of the project's own tools. They import them by name, so tools/ joins the path here."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
