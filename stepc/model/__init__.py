"""A Video-LLM seen from inside: typed request, instruction, reply, typed answer."""
