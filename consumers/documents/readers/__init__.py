"""One reader a kind of file; each yields `consumers.documents.text.Block`."""
