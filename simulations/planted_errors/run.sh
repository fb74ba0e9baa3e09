# The model of the demo, which is trained where it is not there yet.
fedner compare experiment=demo && exec python "$(dirname "$0")/study.py" --model runs/demo/model --output "$(dirname "$0")/results.json" "$@"
