"""Finds the theft of records in database access logs while it is still small.

The flow is one-way: sources -> events -> ledger -> features -> forests -> alerts.
Each stage is a subpackage that imports only what stands on its left.
"""

from importlib.metadata import version

__version__ = version("detector")
