"""The Video-LLM interface: typed requests, rendered instructions, replies, typed answers."""
