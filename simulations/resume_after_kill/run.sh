exec python "$(dirname "$0")/kill.py" --kills 20 --output "$(dirname "$0")/results.json" "$@"
