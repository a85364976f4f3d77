"""Videos: finding, probing and decoding them."""
