"""stepc compiles videos into reasoning data for Video-LLMs (the STEP method, end to end).

The names in `__all__` are the public API:

- `compile` compiles videos into a `Dataset`, `compile_video` one video into a `Unit`.
- `load` reads an IR file, `load_spec` a spec, `run` runs passes on a unit.
- `Pass`, `LinkPass` and `Tools` are what a pass of your own needs, `Backend` what a model needs.
- `Unit` and its levels `Clips`, `Fsg`, `Tsg`, `Stsg`, `Paths` and `Qras` are the IR.
- `ModelConfig` says which model to use and how, with `LocalOptions` and `ServerOptions`.
- `Reporter` receives diagnostics, progress, usage and notes; `LoggingReporter` logs them, `JsonReporter`
  writes JSON lines. `StepcError` carries diagnostics.

The classes that entry points of plug-ins name are public too: `stepc.model.backends.BackendType`,
`stepc.eval.benchmarks.Benchmark`, `stepc.dataset.formats.Format`, `stepc.train.export.Export` and
`stepc.forms.Form`.

Until version 1.0, a public name may change in a minor release, and the changelog says so; from 1.0 on,
only a major release may change one. Everything else is private and may change in any release. Importing
stepc is cheap: neither torch nor transformers is imported before a local model is loaded.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stepc._checkout import _find_data_folders

if TYPE_CHECKING:
    from stepc.api import compile, compile_video, load_spec, run
    from stepc.dataset.dataset import Dataset
    from stepc.diagnostics import Diagnostic, StepcError
    from stepc.ir.load import load
    from stepc.ir.types import Clips, Fsg, Paths, Qras, Stsg, Tsg, Unit
    from stepc.model.client import Backend
    from stepc.model.load import ModelConfig
    from stepc.model.server_options import ServerOptions
    from stepc.model.transformers import LocalOptions
    from stepc.passmanager.base import LinkPass, Pass, Tools
    from stepc.reporter import JsonReporter, LoggingReporter, Reporter


__version__ = "0.1.0"

_find_data_folders(__path__)

_WHERE = {
    "Backend": "stepc.model.client",
    "Clips": "stepc.ir.types",
    "Dataset": "stepc.dataset.dataset",
    "Diagnostic": "stepc.diagnostics",
    "Fsg": "stepc.ir.types",
    "JsonReporter": "stepc.reporter",
    "LinkPass": "stepc.passmanager.base",
    "LocalOptions": "stepc.model.transformers",
    "LoggingReporter": "stepc.reporter",
    "ModelConfig": "stepc.model.load",
    "Pass": "stepc.passmanager.base",
    "Paths": "stepc.ir.types",
    "Qras": "stepc.ir.types",
    "Reporter": "stepc.reporter",
    "ServerOptions": "stepc.model.server_options",
    "StepcError": "stepc.diagnostics",
    "Stsg": "stepc.ir.types",
    "Tools": "stepc.passmanager.base",
    "Tsg": "stepc.ir.types",
    "Unit": "stepc.ir.types",
    "compile": "stepc.api",
    "compile_video": "stepc.api",
    "load": "stepc.ir.load",
    "load_spec": "stepc.api",
    "run": "stepc.api",
}

__all__ = [
    "Backend",
    "Clips",
    "Dataset",
    "Diagnostic",
    "Fsg",
    "JsonReporter",
    "LinkPass",
    "LocalOptions",
    "LoggingReporter",
    "ModelConfig",
    "Pass",
    "Paths",
    "Qras",
    "Reporter",
    "ServerOptions",
    "StepcError",
    "Stsg",
    "Tools",
    "Tsg",
    "Unit",
    "__version__",
    "compile",
    "compile_video",
    "load",
    "load_spec",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'stepc' has no attribute {name!r}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
