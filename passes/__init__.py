"""One pass a file; the file's name is the pass's name (`split_uniform.py` is `split-uniform`).

A pass is a class with two type arguments, the level it takes and the one it gives; its fields
are its options; `run` is a pure function of its input, its options and the tools it is handed
(pictures, the model, the spec, counts, a seeded generator). To add one, write a file here and a
case under `golden/`.
"""
