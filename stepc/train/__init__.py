"""Training a Video-LLM on answers and rationales together (section 3.2), and going round again."""
