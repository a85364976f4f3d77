"""The dataset: formats, linking, reading."""
