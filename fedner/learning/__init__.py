"""The tagger: model, local training, inference."""
