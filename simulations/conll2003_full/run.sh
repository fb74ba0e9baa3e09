exec fedner compare experiment=conll2003_full "$@"
