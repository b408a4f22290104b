"""Machines: what starts, inspects and feeds a Ray cluster. It knows commands and addresses only."""
