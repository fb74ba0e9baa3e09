"""Text: label contracts, documents, readers, partitions and encodings."""
