"""The GPU back end's text: kernel IR -> Triton source. Never imports triton."""
