exec python "$(dirname "$0")/study.py" --output "$(dirname "$0")/results.json" training.threads=1 "$@"
