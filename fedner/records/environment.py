"""Versions, platform and processor, which beside the config decide bytes and speed."""

import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("fedner", "flwr", "torch", "transformers", "tokenizers", "datasets", "numpy", "safetensors", "ray")
"""Packages whose versions can change a result; those that are installed are recorded."""


def environment(threads: int | None) -> Mapping[str, Any]:
    """Return versions, platform, processor and threads, which beside the config decide bytes and speed."""
    return {
        "python": platform.python_version(),
        "platform": " ".join([platform.system(), platform.machine(), *platform.libc_ver()]),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads if threads is not None else os.cpu_count(),
        "packages": {name: package_version(name) for name in PACKAGES if package_version(name) is not None},
    }


def package_version(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
