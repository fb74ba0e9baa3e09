#!/usr/bin/env bash
# The tests that need a GPU, and the GPU benchmark, on a machine that may have nothing but PyTorch 2.11 or newer and no
# way to a package registry: what is missing there is carried along as wheels.
#
#   bash benchmarks/gpu.sh wheels DIR    where there is a registry: fetch the wheels (PYTHON_VERSION=3.11 by default,
#                                        WITHOUT="numpy transformers" leaves out what is there already)
#   bash benchmarks/gpu.sh [DIR]         where the GPU is: run all; results in benchmarks/results/gpu.json (or $RESULT)
#
# Exit status 3 and one sentence where PyTorch finds no CUDA device; nothing is run then.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
# What the GPU tests and benchmarks/gpu.py import.
wanted=(accelerate cryptography filelock flwr hypothesis numpy omegaconf platformdirs pytest pyyaml safetensors transformers)

if [[ ${1:-} == wheels ]]; then
  folder=${2:?usage: bash benchmarks/gpu.sh wheels DIR}
  mkdir -p "$folder"
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  "$python" -m pip install --quiet --dry-run --ignore-installed --constraint constraints.txt \
    --report "$scratch/report.json" "${wanted[@]}"
  # PyTorch brings its own needs. antlr4 is there as source only; its wheel is the same for every Python.
  "$python" - "$scratch/report.json" ${WITHOUT:-} > "$scratch/names" << 'PYTHON'
import json, re, sys

# uv and the like are needed by what needs them for other things than these tests, and are large.
left_out = r"torch|triton|cuda[-_].*|nvidia[-_].*|sympy|mpmath|networkx|setuptools|antlr4.*|uv|uvloop|httptools|hf[-_]xet"
names = re.compile("|".join([left_out, *map(re.escape, sys.argv[2:])]), re.IGNORECASE)
found = [entry["metadata"] for entry in json.load(open(sys.argv[1]))["install"]]
print(*(f"{one['name']}=={one['version']}" for one in found if not names.fullmatch(one["name"])), sep="\n")
PYTHON
  "$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version "${PYTHON_VERSION:-3.11}" \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    --dest "$folder" --requirement "$scratch/names"
  "$python" -m pip wheel --quiet --no-deps --use-pep517 --constraint constraints.txt --wheel-dir "$folder" \
    antlr4-python3-runtime
  echo "$(find "$folder" -name '*.whl' | wc -l) wheels, $(du -sm "$folder" | cut -f1) MB in $folder"
  exit
fi

if ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2> /dev/null; then
  echo "no CUDA device that PyTorch can use with $python: nothing was run"
  exit 3
fi
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
"$python" -m venv --system-site-packages "$venv"
if [[ -n ${1:-} ]]; then
  # Only what is missing: another version of something that PyTorch was built beside could break it.
  "$venv/bin/python" - "$1"/*.whl << 'PYTHON' | xargs -r "$venv/bin/pip" install --quiet --no-index --no-deps
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

for wheel in sys.argv[1:]:
    try:
        version(Path(wheel).name.partition("-")[0])
    except PackageNotFoundError:
        print(wheel)
PYTHON
fi
export PYTHONPATH=$PWD FLWR_TELEMETRY_ENABLED=0 HF_HUB_OFFLINE=1
"$venv/bin/python" -m pytest -q -m gpu tests/learning/test_gpu.py tests/simulation/test_gpu.py
"$venv/bin/python" benchmarks/gpu.py --output "${RESULT:-benchmarks/results/gpu.json}"
