"""Benchmarks by their own files and rules, and tables like the paper's."""

TITLES = {
    "agqa": "AGQA",
    "star": "STAR",
    "star-choice": "STAR (multiple choice)",
    "msvd-qa": "MSVD-QA",
    "msrvtt-qa": "MSRVTT-QA",
    "activitynet-qa": "ActivityNet-QA",
    "mvbench": "MVBench",
    "tempcompass": "TempCompass",
    "moviechat": "MovieChat-1K",
    "mlvu": "MLVU",
    "world": "world",
}
"""Each benchmark by the name that `stepc eval` takes."""
