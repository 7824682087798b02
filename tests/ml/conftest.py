"""Fixtures of the tests of `ml`."""

from tests.dsprites_folder import data_folder

__all__ = ["data_folder"]
