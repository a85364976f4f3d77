"""Evaluation on public benchmarks, with their original files and scoring rules, and the paper's tables."""

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
"""Display title of each benchmark, by its name on the `stepc eval` command line."""
