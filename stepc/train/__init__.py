"""Training of Video-LLMs on answers and rationales (section 3.2), and iterated self-training."""
