exec fedner compare experiment=btc_natural data.root="${BTC:?set BTC to the folder that holds the sections of the Broad Twitter Corpus}" "$@"
