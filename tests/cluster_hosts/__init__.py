"""Machines for `make test-cluster`, made of Linux namespaces."""
