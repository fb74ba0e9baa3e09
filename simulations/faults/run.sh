exec python "$(dirname "$0")/faults.py" --output "$(dirname "$0")/results.json" --table "$(dirname "$0")/README.md" "$@"
