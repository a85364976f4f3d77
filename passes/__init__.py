"""The passes, one per file. The file name is the pass name (`split_uniform.py` is `split-uniform`).

A pass is a class with two type arguments, its input level and its output level. Its fields are its
options. `run` is a pure function of its input, its options and its tools (images, the model, the
spec, statistics, a seeded random generator). To add a pass, add a file here and a case under
`golden/`.
"""
