"""The content-addressed store of pass results and model replies."""
