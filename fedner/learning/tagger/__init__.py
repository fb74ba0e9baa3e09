"""The tagger: a BERT token classifier, its head, and the names of the tensors that travel."""
