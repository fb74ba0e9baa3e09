"""What remains of a run: results, events, the run directory."""
