"""The export `lmms-eval`: a task for that evaluation harness."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepc.dataset.parquet import TEXT, WHOLE, many, write_parquet
from stepc.dataset.read import TrainingData, TrainingSample
from stepc.model.templates import Templates
from stepc.runtime.atomic_files import write_whole
from stepc.runtime.escape import yaml
from stepc.runtime.names import Name
from stepc.train.rows import Thought, by_set
from stepc.train.tables import PICTURED, PICTURES, pictures

TASK = """dataset_path: parquet
dataset_kwargs:
  data_files:
    test: {file}
task: {task}
test_split: test
output_type: generate_until
doc_to_visual: !function {module}.visual
doc_to_text: !function {module}.asked
doc_to_messages: !function {module}.messages
doc_to_target: answer
generation_kwargs:
  max_new_tokens: 64
  temperature: 0
  do_sample: false
process_results: !function {module}.graded
metric_list:
{metrics}"""


METRIC = """  - metric: {name}
    aggregation: !function {module}.share
    higher_is_better: true
"""


FUNCTIONS = '''"""What lmms-eval calls for the task `stepc`. Needs `pip install stepc`, which is light."""

from stepc.grading.reward import parted, right


def visual(doc):
    return [picture.convert("RGB") for picture in doc["images"]]


def asked(doc, lmms_eval_specific_kwargs=None):
    return doc["text"]


def messages(doc, lmms_eval_specific_kwargs=None):
    shown = [{"type": "image", "url": picture} for picture in visual(doc)]
    return [{"role": "user", "content": [*shown, {"type": "text", "text": doc["text"]}]}]


def graded(doc, results):
    verdict = float(right(parted(str(results[0]))[1], doc["answers"]))
    steps = min(max(doc["steps"], 1), 3)
    return {"accuracy": verdict, f"accuracy_{steps}": verdict}


def share(verdicts):
    return sum(verdicts) / len(verdicts) if verdicts else float("nan")
'''
"""The module beside the task."""


def lmms_eval(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write a task for lmms-eval 0.7: `stepc.yaml`, its functions, and Parquet with frames and questions.

    The task `stepc` asks the samples of the set `test`, and each other set has a task of its own, such as
    `stepc_train`. Of questions without sets, such as an exam, `stepc` asks all. They grade like `stepc eval
    world`, and per number of steps (3 means three or more). Run one with `--include_path OUT --tasks stepc`.
    """
    module = "stepc_task"
    divided = any("set" in s.model_fields_set for s in dataset.samples)
    sets = by_set(dataset, words=True) if divided else {Name("test"): dataset.samples}
    for name, samples in sets.items():
        _task(dataset, samples, out, name, templates, module)
    write_whole(out / f"{module}.py", FUNCTIONS.encode())


def _task(
    dataset: TrainingData, samples: list[TrainingSample], out: Path, name: Name,
    templates: Templates, module: str,
) -> None:  # fmt: skip
    """Write the task of one set for lmms-eval, and its Parquet file."""
    file, task = name.below(out, ".parquet"), "stepc" if name == "test" else f"stepc_{name}"

    def rows() -> Iterator[dict[str, Any]]:
        for sample in samples:
            accepted = dict.fromkeys([sample.answer, sample.reply, *sample.answers])
            yield {
                "id": sample.id,
                "images": pictures(dataset, sample, exact=True),
                "text": dataset.rows(sample, templates, False)[0].text,
                "answer": sample.answer,
                "answers": list(accepted),
                "steps": sample.steps,
            }

    features = {**dict.fromkeys(("id", "text", "answer"), TEXT), "images": PICTURES,
                "answers": many(TEXT), "steps": WHOLE}  # fmt: skip
    write_parquet(file, rows(), features, PICTURED)
    names = ["accuracy", *(f"accuracy_{n}" for n in (1, 2, 3))]
    metrics = "".join(METRIC.format(name=name, module=module) for name in names)
    text = TASK.format(file=yaml(file.name), task=task, module=module, metrics=metrics)
    write_whole(Name(task).below(out, ".yaml"), text.encode())
