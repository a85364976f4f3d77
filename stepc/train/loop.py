"""Explicit rationale supervision: L = L_ans + lambda L_rat (equations 1 to 3), based on `transformers`.

Both losses are cross-entropies over target tokens only. Each is a mean over one optimizer step, independent
of how the step is split into batches and processes: either over all target tokens of its kind (`token`), or
over samples, where each sample is the mean of its tokens (`sample`).
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
import torch
from torch.nn.functional import cross_entropy
from transformers import Trainer, TrainerCallback, TrainingArguments

from stepc import __version__
from stepc.dataset.read import TrainingData, TrainingRow, left_out
from stepc.diagnostics import Place, fail, printable
from stepc.model.cassette import Cassette
from stepc.model.client import Call
from stepc.model.templates import Templates, spoken_to
from stepc.model.transformers import NEEDED, LocalOptions, TransformersModel
from stepc.reporter import SILENT, Reporter
from stepc.runtime.atomic_files import claim, write_whole
from stepc.runtime.output_folder import locked
from stepc.train.collate import TASKS, Collator
from stepc.train.model_card import model_card

WHOLE = "whole"
"""Marker file in a completely written checkpoint."""


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a training. The paper specifies only lambda; all other defaults are ours."""

    weight: float = 1.0
    """Weight lambda of the rationale loss; 0 trains on answers only (the paper's *Instruct*)."""
    mean: Literal["token", "sample"] = "token"
    """Whether each loss is a mean over tokens or over samples."""
    parse: float = 0.0
    """Weight of the loss on the model's own recorded parsing replies; requires a recording."""
    replay: float = 1.0
    """Number of replayed parsing calls, as a multiple of the samples; balanced over kinds of requests."""
    frames: int = 8
    """Frames per video."""
    epochs: float = 1.0
    steps: int = 0
    """Number of optimizer steps; overrides `epochs` when > 0."""
    rate: float = 2e-5
    """Peak learning rate, with linear warm-up and cosine decay."""
    warmup: float = 0.03
    """Warm-up steps, as a fraction of all steps if below 1."""
    batch: int = 4
    """Samples per device and batch."""
    accumulate: int = 1
    """Batches per optimizer step."""
    lora: int = 0
    """Rank of a LoRA adapter; 0 trains all weights."""
    bf16: bool = False
    checkpointing: bool = False
    """Gradient checkpointing: recompute activations to save memory."""
    save_every: int = 500
    """Optimizer steps between checkpoints."""
    seed: int = 0
    more: tuple[tuple[str, Any], ...] = ()
    """Extra arguments of `transformers.TrainingArguments`."""

    @property
    def weights(self) -> tuple[float, ...]:
        """Loss weight of each task, in the order of `TASKS`."""
        return (1.0, self.weight, self.parse)


def weigh(
    batches: Sequence[dict[str, Any]],
    weights: Sequence[float],
    mean: str = "token",
    total: Callable[[Any], Any] = lambda counts: counts,
) -> None:
    """Add `weights` (rows, length), float32, to the batches of one optimizer step.

    The loss is the sum of weight times cross-entropy over all batches. `total` sums counts (tasks,) over
    processes.
    """
    counts = torch.zeros(len(TASKS), dtype=torch.float64)
    for batch in batches:
        there = batch["targets"] != -100
        one = there.sum(1) if mean == "token" else there.any(1)
        counts.index_add_(0, batch["task"], one.double())
    share = torch.tensor(weights, dtype=torch.float64) / total(counts).clamp_min(1)
    for batch in batches:
        there = batch["targets"] != -100
        each = share[batch["task"]].unsqueeze(1)
        if mean == "sample":
            each = each / there.sum(1, keepdim=True).clamp_min(1)
        batch["weights"] = (there * each).float()


def losses(logits: Any, targets: Any) -> Any:
    """Cross-entropy (rows, length) of each target token; 0 at padding."""
    flat = cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), reduction="none", ignore_index=-100
    )
    return flat.view(targets.shape)


class StepTrainer(Trainer):  # type: ignore[misc]
    """The `transformers` trainer with a weighted loss over several tasks."""

    def __init__(self, recipe: Recipe, **given: Any) -> None:
        super().__init__(**given)
        self.recipe = recipe
        self.loss_is_scaled_for_ga = True
        self.model_accepts_loss_kwargs = False
        inner = self.accelerator.unwrap_model(self.model)
        inner = inner.get_base_model() if hasattr(inner, "get_base_model") else inner
        self._cuts = "logits_to_keep" in inspect.signature(inner.forward).parameters
        self._parts = torch.zeros(len(TASKS))
        self._seen = 0

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load with `from_pretrained`, which undoes the renaming of weights done by saving.

        The library's own method looks up the in-memory names. The checkpoints of many Video-LLMs contain none
        of them, so it silently continues with the initial weights (transformers 5.23).
        """
        net = self.accelerator.unwrap_model(self.model)
        if hasattr(net, "peft_config") or self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        whole = type(net).from_pretrained(resume_from_checkpoint, dtype=net.dtype)
        net.load_state_dict(whole.state_dict())

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
        """The batches of one optimizer step, with weights."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)

        def total(counts: Any) -> Any:
            if self.accelerator.num_processes == 1:
                return counts
            summed = self.accelerator.reduce(counts.float().to(device)).cpu().double()
            return summed / self.accelerator.num_processes  # gradients are averaged over processes

        weigh(batches, self.recipe.weights, self.recipe.mean, total)
        self._seen += bool(batches)
        return batches, None

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> Any:
        """The batch's contribution to the loss of the step."""
        given = dict(inputs)
        targets, task, weights = (given.pop(k) for k in ("targets", "task", "weights"))
        length = targets.shape[1]
        keep = {"logits_to_keep": length + 1} if self._cuts else {}
        outputs = model(**given, **keep, use_cache=False)
        each = losses(outputs.logits[:, -length - 1 : -1], targets) * weights
        if model.training:
            rows = each.detach().sum(1).float().cpu()
            self._parts.index_add_(0, task.cpu(), rows)
        loss = each.sum()
        return (loss, outputs) if return_outputs else loss

    def prediction_step(
        self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
    ) -> Any:
        """The loss of a single batch, for evaluation."""
        weigh([inputs], self.recipe.weights, self.recipe.mean)
        with torch.no_grad():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None

    def log(self, logs: dict[str, float], *args: Any, **given: Any) -> None:
        """Log the unweighted loss of each task as well."""
        if "loss" in logs and self._seen:
            for task, weight, part in zip(
                TASKS, self.recipe.weights, self._parts.tolist(), strict=True
            ):
                if weight and part:
                    logs[f"loss_{task}"] = round(part / weight / self._seen, 4)
            self._parts.zero_()
            self._seen = 0
        super().log(logs, *args, **given)


def first_process() -> bool:
    """Whether this process prints and writes files; true for only one process of a distributed run."""
    return int(os.environ.get("RANK", "0")) == 0


class _Mark(TrainerCallback):  # type: ignore[misc]
    """Marks checkpoints as completely written."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / WHOLE).touch()


class _Say(TrainerCallback):  # type: ignore[misc]
    """Prints each line of the log."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        shown = {k: v for k, v in (logs or {}).items() if "loss" in k and "train_" not in k}
        if shown and state.is_world_process_zero:
            told = "  ".join(f"{k} {float(v):.4f}" for k, v in shown.items())
            self.reporter.note(f"step {state.global_step:6d} of {state.max_steps}  {told}")


@dataclass
class TrainingResult:
    """Summary of a training, as shown on its model card."""

    steps: int
    samples: int
    rows: dict[str, int]
    history: list[dict[str, Any]] = field(default_factory=list)


class _Rows(torch.utils.data.Dataset[list[TrainingRow]]):  # type: ignore[misc]
    def __init__(self, items: list[list[TrainingRow]]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> list[TrainingRow]:
        return self.items[index]


def train(  # long: a training run, read from top to bottom
    dataset: TrainingData,
    model: str,
    out: Path,
    recipe: Recipe,
    *,
    local: LocalOptions | None = None,
    templates: str | None = None,
    tape: Cassette | None = None,
    lineage: dict[str, Any] | None = None,
    reporter: Reporter = SILENT,
) -> TrainingResult:
    """Train `model` on the samples of the set `train` and write it to `out`.

    An interrupted training resumes from its last checkpoint. Samples that are too long for the model are
    skipped and reported. Raises StepcError: M004 or M005 if the model or its templates cannot
    be loaded, T003 if no sample is in the set `train`, T004 if `out` holds a different training, T005 if a
    package is missing, T006 if the training arguments are invalid, B024 if another process writes to `out`.
    """
    with locked(out) if first_process() else contextlib.nullcontext():
        return _train(dataset, model, out, recipe, local, templates, tape, lineage, reporter)


def _train(  # long: one training, from its samples to its model
    dataset: TrainingData,
    model: str,
    out: Path,
    recipe: Recipe,
    local: LocalOptions | None,
    templates: str | None,
    tape: Cassette | None,
    lineage: dict[str, Any] | None,
    reporter: Reporter,
) -> TrainingResult:
    torch.manual_seed(recipe.seed)
    lines = sorted(s.model_dump_json() for s in dataset.samples)
    data = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    own = TransformersModel(model, local)
    facts = {"model": own.identity, "data": data, "recipe": asdict(recipe), **(lineage or {})}
    file = out / "training.json"
    if claim(file, facts, "T004", "training") is None and first_process():
        write_whole(file, orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    if not first_process():
        reporter = Reporter()
    chosen = Templates(templates or spoken_to(model, own.templates))

    fits = _Fits(own, dataset)

    def items(name: str) -> list[list[TrainingRow]]:
        made = []
        for sample in dataset.samples:
            if sample.set == name:
                rows = dataset.rows(sample, chosen, recipe.weight > 0)
                why = fits.why_not(rows)
                if why:
                    reporter.diagnostic(left_out(printable(sample.video), sample.line, why))
                else:
                    made.append(rows)
        return made

    learnt, held = items("train"), items("val")
    if recipe.parse and tape is not None:
        most = round(recipe.replay * len(learnt))
        learnt += [[row] for row in dataset.parses(tape, most, recipe.seed)]
    rows = [row for item in learnt for row in item]
    if not rows:
        raise fail("T003", "no sample is in the set `train`", Place(printable(str(out))))
    net = _prepared(own, recipe)

    def inputs(prompts: list[Any]) -> Any:
        return own.inputs(prompts, dataset.pictures, False)

    def model_inputs(prompts: list[Any]) -> Any:
        return {k: v.cpu() if hasattr(v, "cpu") else v for k, v in inputs(prompts).items()}

    try:
        trainer = StepTrainer(
            recipe,
            model=net,
            args=_arguments(recipe, out / "steps", bool(held)),
            train_dataset=_Rows(learnt),
            eval_dataset=_Rows(held) if held else None,
            data_collator=Collator(own.processor, model_inputs),
            callbacks=[_Mark(), _Say(reporter)],
        )
    except (ImportError, RuntimeError) as error:  # a `report_to` integration is not installed
        if "install" not in str(error):
            raise
        help = "install it, or change `report_to`"
        raise fail("T005", str(error).split("\n")[0], None, help) from error
    for noisy in list(trainer.callback_handler.callbacks):
        if type(noisy).__name__ in ("PrinterCallback", "ProgressCallback"):
            trainer.remove_callback(type(noisy))
    _gathers(trainer)
    last = _last(out / "steps")
    if last is not None:
        reporter.note(f"resuming from {last.name}")
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    counts = {task: sum(row.task == task for row in rows) for task in TASKS}
    made = TrainingResult(trainer.state.global_step, len(learnt), counts, trainer.state.log_history)
    _save(trainer, own, out, facts, made, bool(recipe.lora))
    if torch.distributed.is_initialized():  # exiting while others still communicate aborts them
        torch.distributed.barrier()
        # a backend thread releases the barrier's tensor, and needs the GIL for that
        time.sleep(0.5)
        torch.distributed.destroy_process_group()
    return made


class _Fits:
    """Checks whether samples fit into the model's context.

    Token counts of pictures are cached, because they depend only on size and number of the pictures.
    """

    def __init__(self, own: TransformersModel, dataset: TrainingData) -> None:
        self.own, self.dataset = own, dataset
        config = own.model.config.get_text_config()
        tokenizer = own.processor.tokenizer
        self.most = min(
            getattr(config, "max_position_embeddings", None) or 1 << 30, tokenizer.model_max_length
        )
        self._shown: dict[tuple[int, int, int], int] = {}

    def why_not(self, rows: list[TrainingRow]) -> str:
        """Why the longest row does not fit; empty if all rows fit."""
        longest = max(self._length(row) for row in rows)
        if longest <= self.most:
            return ""
        return f"it is {longest} tokens long; the model accepts at most {self.most}"

    def _length(self, row: TrainingRow) -> int:
        video = self.dataset.pictures.source(row.frames[0].video).video
        kind = (video.width, video.height, len(row.frames))
        if kind not in self._shown:
            prompt = Call("", row.task, row.text, row.frames, 0.0, (0,))
            read = self.own.inputs([prompt], self.dataset.pictures, False)["input_ids"].shape[1]
            self._shown[kind] = read - self._tokens(row.text)
        return self._shown[kind] + self._tokens(row.text) + self._tokens(row.target) + 1

    def _tokens(self, text: str) -> int:
        return len(self.own.processor.tokenizer(text, add_special_tokens=False)["input_ids"])


def _prepared(own: TransformersModel, recipe: Recipe) -> Any:
    """The network to train: all weights, or a LoRA adapter on its linear layers."""
    net = own.model
    net.train()
    if recipe.checkpointing:
        net.gradient_checkpointing_enable({"use_reentrant": False})
        net.enable_input_require_grads()
    if not recipe.lora:
        return net
    try:
        import peft
    except ImportError:
        raise fail("T005", "LoRA needs peft", None, NEEDED["peft"]) from None
    config = peft.LoraConfig(
        r=recipe.lora, lora_alpha=2 * recipe.lora, lora_dropout=0.0, target_modules="all-linear"
    )
    return peft.get_peft_model(net, config)


def _arguments(recipe: Recipe, folder: Path, held: bool) -> TrainingArguments:
    given: dict[str, Any] = {
        "output_dir": str(folder),
        "num_train_epochs": recipe.epochs,
        "max_steps": recipe.steps or -1,
        "learning_rate": recipe.rate,
        "warmup_steps": recipe.warmup,
        "lr_scheduler_type": "cosine",
        "per_device_train_batch_size": recipe.batch,
        "per_device_eval_batch_size": recipe.batch,
        "gradient_accumulation_steps": recipe.accumulate,
        "bf16": recipe.bf16,
        "save_steps": recipe.save_every,
        "save_total_limit": 2,
        "eval_strategy": "epoch" if held else "no",
        "logging_steps": 10,
        "remove_unused_columns": False,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "seed": recipe.seed,
        **dict(recipe.more),
    }
    try:
        return TrainingArguments(**given)
    except ImportError as error:
        help = "pip install 'stepc[train]'"
        raise fail("T005", str(error).split("\n")[0], None, help) from error
    except (TypeError, ValueError) as error:
        raise fail("T006", f"invalid training arguments: {error}") from error


def _gathers(trainer: Any) -> None:
    """Raise StepcError (T006) if DeepSpeed is not configured to gather the weights when saving."""
    if not trainer.is_deepspeed_enabled:
        return
    zero = trainer.accelerator.state.deepspeed_plugin.deepspeed_config.get("zero_optimization", {})
    gather = "stage3_gather_16bit_weights_on_model_save"
    if zero.get("stage") == 3 and not zero.get(gather):
        help = f'"zero_optimization": {{"stage": 3, "{gather}": true}}'
        raise fail("T006", "DeepSpeed is not configured to gather the weights", None, help)


def _last(folder: Path) -> Path | None:
    """The last complete checkpoint; None if there is none."""
    whole = [p.parent for p in folder.glob(f"checkpoint-*/{WHOLE}")]
    return max(whole, key=lambda p: int(p.name.rpartition("-")[2]), default=None)


def _save(
    trainer: Any,
    own: TransformersModel,
    out: Path,
    facts: dict[str, Any],
    made: TrainingResult,
    lora: bool,
) -> None:
    """Write the trained model, which can be passed to `--model`, and its model card.

    All processes contribute their shards of the weights; only the first one writes.
    """
    sharded = trainer.model_wrapped if trainer.is_deepspeed_enabled else trainer.model
    whole = trainer.accelerator.get_state_dict(sharded)
    if not trainer.is_world_process_zero():
        return
    net = trainer.accelerator.unwrap_model(trainer.model)
    if lora:
        import peft

        net.save_pretrained(out / "adapter", state_dict=whole)
        net = type(own.model).from_pretrained(own.where, dtype=own.model.dtype)
        net = peft.PeftModel.from_pretrained(net, out / "adapter").merge_and_unload()
        net.save_pretrained(out)
    else:
        net.save_pretrained(out, state_dict=whole)
    own.processor.save_pretrained(out)
    spoken = {"templates": own.templates, "together": own.together}
    write_whole(out / "stepc.json", orjson.dumps(spoken))
    told = {**facts, "stepc": __version__, "samples": made.samples, "rows": made.rows}
    told |= {"steps": made.steps, "log": made.history}
    write_whole(out / "training.json", orjson.dumps(told, option=orjson.OPT_INDENT_2))
    write_whole(out / "README.md", model_card(facts, made).encode())
