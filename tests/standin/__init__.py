"""A stand-in for a 7B Video-LLM on real clips, for tests.

No such model can be had in a test. A person looked at the keyframes of real clips and wrote down what is
there (`descriptions.py`): the names that such a model would give each thing, with weights, its attributes,
relations, motions and events, and which thing of one keyframe is which of another. The stand-in answers
requests from that, with a model's variety: synonyms, differing votes, errors, yes-bias, prose around JSON.
The weights and error rates are a judgement, not measured of a model.
"""
