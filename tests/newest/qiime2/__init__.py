"""`qiime2` as another name of rachis, which the plugins of Debian's QIIME 2 import."""

import importlib
import importlib.abc
import importlib.util
import sys

import rachis


class OtherName(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """A module of `qiime2` is the one of `rachis`; the plugins' own are found by the framework."""

    def find_spec(self, name, path=None, target=None):
        if name.startswith("qiime2.") and not name.startswith("qiime2.plugins"):
            return importlib.util.spec_from_loader(name, self)
        return None

    def create_module(self, spec):
        return importlib.import_module("rachis" + spec.name[len("qiime2") :])

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, OtherName())
sys.modules["qiime2"] = rachis
