"""Every import of Flower's internals, one file for each purpose; docs/flower.md says why each is needed.

Public are `flwr.app`, `flwr.clientapp` and `flwr.serverapp`; all else may change with any release of Flower, so the
version is pinned and tests/flower asserts each name and signature that is used here.
"""
