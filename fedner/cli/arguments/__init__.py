"""The options of every verb, apart from the work that they lead to: each function returns one verb's parser."""
