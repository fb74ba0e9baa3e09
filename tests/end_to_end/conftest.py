import sys
from pathlib import Path

# The faults are a study too, and lie with the studies; `bash simulations/faults/run.sh` plays them all.
sys.path.append(str(Path(__file__).parents[2] / "simulations" / "faults"))
sys.path.append(str(Path(__file__).parent))
