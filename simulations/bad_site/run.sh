exec python "$(dirname "$0")/bad_site.py" --output "$(dirname "$0")/results.json" "$@"
