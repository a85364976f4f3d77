"""What `stepc explain CODE` says: a page for every diagnostic.

A page of a broken rule of the IR begins with the rule itself (`stepc/ir/verify.py`).
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from stepc.ir.verify import RULES


@dataclass(frozen=True)
class Page:
    """What a code means, and how to get out of it."""

    title: str
    text: str
    wrong: str = ""
    right: str = ""

    def shown(self, code: str) -> str:
        """The page as printed."""
        parts = [f"{code}: {self.title}", textwrap.fill(self.text, 88)]
        if self.wrong:
            parts.append("Wrong:\n\n" + textwrap.indent(self.wrong, "    "))
        if self.right:
            parts.append("Right:\n\n" + textwrap.indent(self.right, "    "))
        return "\n\n".join(parts)


PAGES: dict[str, Page] = {
    "B001": Page("the video file is empty", "It has no bytes. A copy was interrupted, or it was never written. Copy it again or remove it."),
    "B002": Page("a file cannot be decoded as video", "FFmpeg, which reads the file, finds no video in it: it is another kind of file, or its index is missing because it was cut off. Check that it plays, or convert it."),
    "B003": Page("a file has no video stream", "It holds sound, or pictures of an album, and no video. stepc compiles what can be seen."),
    "B004": Page("a video has no frames", "There is a video stream and nothing in it that can be shown."),
    "B005": Page("a video is too small", "Below 16 pixels on a side nothing can be seen in a frame."),
    "B006": Page("a file cannot be read", "It is not there, or you may not read it. Check the path and its permissions."),
    "B007": Page("a video is damaged", "Decoding began and then failed. The rest of the corpus is compiled. Copy the file again, or cut off the damaged end."),
    "B008": Page("a video file is not at hand", "A pass needs pictures of a video, and only its IR was given. Name the file; it is found by its content, not by its name.", "stepc opt kitchen.ir --pipeline keyframes", "stepc opt kitchen.ir --pipeline keyframes --video kitchen.mp4"),
    "B009": Page("a file's name is not UTF-8", "The name of a video becomes the name of its unit and stands in the dataset, which is UTF-8. Rename the file."),
    "B010": Page("a folder holds no video", "In a folder stepc takes the files whose extension is that of a video and leaves the rest alone. A file named by itself is always tried."),
    "B011": Page("two videos have one name", "A unit is called by its file's name without extension, and no two may be called the same. The first in order is compiled. Rename the other."),
    "B012": Page("memory ran out", "The video was given up; the rest of the corpus is compiled. Fewer workers (--jobs 1) need less memory."),
    "B013": Page("a worker ended", "The process that compiled the video was ended from outside, most often for want of memory, or crashed over it. The rest of the corpus is compiled, and this video is left alone until --retry. Fewer workers (--jobs) have more memory each, and --memory allows more."),
    "B015": Page("the store cannot be used", "The folder in which results are kept is full, cannot be written or is no folder; or the storage at a URL cannot be reached, or the package that reaches it is not installed. Everything is made all the same, and made again next time. Name another with --store, or none with --no-store."),
    "B016": Page("the store is damaged", "An entry, or the whole file, is not what was written. It is put aside and made anew; nothing that was damaged is believed."),
    "B017": Page("nothing was heard of a video for too long", "No frame was decoded, no call answered, no pass ended: its decoder hangs, or what it asks of takes longer than --patience. The worker was ended, the rest of the corpus is compiled, and this video is left alone until --retry.", "", "stepc compile videos -o out --patience 3600 --retry"),
    "B018": Page("a video was given up before", "A run before this one lost it: its worker was ended from outside, hung, or wanted more memory than there is. It is not tried again by itself, since that may cost as much once more.", "", "stepc compile videos -o out --retry"),
    "B019": Page("the cluster cannot be used", "There is no Ray cluster at RAY_ADDRESS, it does not answer, or it has fewer processors or GPUs than the replicas of the model need. Without RAY_ADDRESS a cluster is made on this machine.", "", "RAY_ADDRESS=auto stepc compile videos -o out --engine ray"),
    "B020": Page("a machine of the cluster has another stepc", "What other code makes is not the same dataset. Install the same version everywhere, best by one image."),
    "B014": Page("a file cannot be written", "The disk is full, or the folder may not be written. What was written before is whole."),
    "I001": Page("the text of an IR file cannot be read", "A line is not a statement of the IR. `grammar/ir.lark` shows every statement.", "static  c0/table table [3/3 yes]", 'static  c0/table "table" [3/3 yes]'),
    "I002": Page("an IR file is of another schema version", "It was written by another version of stepc.", 'stsg 2 "kitchen"', 'stsg 1 "kitchen"'),
    "I003": Page("a statement of an IR file holds a wrong value", "The line has the right form, and a value in it is out of its range, stands in the wrong place, or is missing.", "clip    c0 0.000..2.000\nframe   c1.k0 at 0.500", "clip    c0 0.000..2.000\nframe   c0.k0 at 0.500"),
    "I004": Page("a statement is not of the file's level", "The header says which level the file is of. Motions begin with tsg, references and events with stsg, paths with paths, samples with qra.", 'fsg 1 "kitchen"\n…\nref     c0/table == c1/table [2/3 yes]', 'stsg 1 "kitchen"\n…\nref     c0/table == c1/table [2/3 yes]'),
    "M001": Page("a call was never recorded", "A cassette answers only what was asked when it was recorded. The instruction, the keyframes, the number of samples, the temperature or the seed is another now. Record it again.", "", "stepc compile videos -o out --model embedded --record calls.jsonl"),
    "M002": Page("there is no such cassette", "The file after `replay:` is not there."),
    "M003": Page("a cassette is damaged", "A line of it is not a recorded call."),
    "M004": Page("a model cannot be loaded", "The name is neither a folder nor a hub id of an image-text-to-text model, or what the model needs is not installed.", "", "stepc compile videos -o out --model HuggingFaceTB/SmolVLM2-500M-Video-Instruct"),
    "M005": Page("a set of templates cannot be used", "A set is a folder with templates named like their requests; what it lacks is taken from `default`. Each begins with `{#- answer: json -#}` or `{#- answer: words -#}`; a variable that the request does not have is an error."),
    "M006": Page("the embedded model recognised nothing", "It is a small model that knows the rendered world (`stepc world render`) and nothing else. For real footage name a Video-LLM: a hub id or a folder of any transformers image-text-to-text model.", "stepc compile holiday.mp4 -o out", "stepc compile holiday.mp4 -o out --model Qwen/Qwen2.5-VL-7B-Instruct"),
    "M007": Page("there is no server to ask", "`openai:MODEL` needs the address of an OpenAI-compatible server, or a key for the official one in the environment.", "stepc compile videos -o out --model openai:my-model", "stepc compile videos -o out --model openai:my-model --base-url http://127.0.0.1:8000/v1"),
    "M008": Page("a server cannot be asked", "It is not there, does not know the model or the key, or went on failing. Calls are made again after failures that may pass; with `--record` those that were answered are not made twice. The compile stops: it would be the same for every video."),
    "M009": Page("the budget is spent", "`--max-requests`, `--max-tokens` or `--max-cost` is reached. What was compiled is in the dataset; with `--record` the same command and a larger budget go on where it stopped.", "", "stepc compile videos -o out --model openai:my-model --record calls.jsonl --max-cost 20 --price 0.15/0.60"),
    "M010": Page("a server refuses a request", "It will not answer it however often it is asked: it is too long, or holds what this server does not take. The video is skipped, the others go on."),
    "P001": Page("a pipeline cannot be read", "Passes are separated by commas; options stand in brackets.", "split keyframes", "split,keyframes(per_clip=3)"),
    "P002": Page("there is no such pass", "`stepc passes` lists them.", "split,keyfames", "split,keyframes"),
    "P003": Page("a pass has no such option", "`stepc passes PASS` lists its options.", "keyframes(n=3)", "keyframes(per_clip=3)"),
    "P004": Page("an option has a wrong value", "`stepc passes PASS` says what an option takes.", "parse(samples=0)", "parse(samples=3)"),
    "P005": Page("two passes do not meet", "Each pass takes one level of the IR and gives one. Levels are checked before anything runs.", "split,keyframes,merge", "split,keyframes,parse,merge"),
    "P006": Page("a pass needs a model", "It asks a Video-LLM.", "stepc opt f.fsg --pipeline confirm", "stepc opt f.fsg --pipeline confirm --model embedded"),
    "P007": Page("a pass needs a spec", "`sample` and `compose` are driven by a .step file."),
    "P008": Page("a unit breaks the IR's rules", "A pass was given, or gave, a unit that does not verify. The rules it breaks follow. After a pass of stepc this is a mistake of ours: please report it with the input (`--dump-after`)."),
    "P009": Page("too many paths to enumerate", "`enumerate` looks at all paths of a graph, two million walks at most; long paths on a large graph are more.", "steps 9\n  enumerate", "steps 9"),
    "S001": Page("a spec cannot be read", "A word or a mark stands where none of its kind may stand; the help line says what may. Strings stand in double quotes on one line.", "paths { steps 1: 1/2 2: 1/2 }", "paths { steps 1: 1/2, 2: 1/2 }"),
    "S002": Page("a string has an unknown escape", r'Only \" \\ \n \t and \u with four digits are known.', r'ask "a \q"', r'ask "a \\"'),
    "S101": Page('there is no such edge kind', 'The STSG has five: attr, rel, motion, ref, event; `next` joins an event and the one after it.', 'start attributes, rel', 'start attr, rel'),
    "S102": Page("the ends of an edge need names of their own", "Both ends and the edge itself are placeholders, so the three must differ.", "edge rel(o -> o) { }", "edge rel(s -> o) { }"),
    "S103": Page("only an end of the edge can be found", "`find` names one of the two ends in the head of the block.", "edge rel(s -> o) { find x { … } }", "edge rel(s -> o) { find o { … } }"),
    "S104": Page('an event cannot single out an object', 'All objects of a clip are seen while its event happens, so it describes none of them. An event can be asked for, can give a time range, and has events before and after it.', 'expand attr, event', 'expand attr'),
    "S105": Page('there is no such filter', '`only` and `forbid` know label, predicate, motion, kind (of an attribute), value (of an attribute), event, clip, time, static, dynamic, same-clip and across-clips; `require` knows confidence.', 'forbid name "thing"', 'forbid label "thing"'),
    "S106": Page('a filter with the wrong words', '`static`, `dynamic`, `same-clip` and `across-clips` stand alone; `clip` takes numbers such as 0..2, `time` ranges such as 2s..8.5s, every other filter strings.', 'forbid label', 'forbid label "thing", "object"'),
    "S107": Page('a block has no such line', 'Each block knows its lines; the help line names the nearest.', 'find o { aks "What is {s} {rel}?" }', 'find o { ask "What is {s} {rel}?" }'),
    "S108": Page('a line does not fit what it stands in', '`first` and `last` need relations or motions, `longest`, `shortest` and `time` something with a length, `count` things that can be several, a whole path only `ask`.', 'edge attr(o -> v) { find v { longest "…" } }', 'edge motion(o -> m) { find m { longest "…" } }'),
    "S109": Page('there is no such form', 'A form is how a path is asked: ask, claim, choice, count, first, last, longest, shortest, when, how-long, which-first, which-last, which-longer, which-shorter or same.', 'form yes-no', 'form claim'),
    "S110": Page('an edge is not taken that way', "`=>` finds the far end, `<=` the near end, and `--` the edge itself: a relation's predicate, or the time of a motion or event.", 'start attr --', 'start rel --'),
    "S111": Page('there is no such filter for words', 'Behind a bar a placeholder takes the, a, bare, plural, is, has, does, cap or low. A phrase takes none.', '"{o|an}"', '"{o|a}"'),
    "S112": Page('a clause does not know this word', 'Options come from graph, clip or corpus; `no-revisit` knows nodes, labels and kinds.', 'options 4 from video', 'options 4 from graph'),
    "S201": Page("no path has that many steps", "A path has at least one step, and a range goes upwards.", "steps 3..1", "steps 1..3"),
    "S202": Page("a share is not between nothing and the whole", "Shares are fractions or percentages up to 1.", "during 3/2", "during 2/3"),
    "S203": Page("a count is out of range", "A block draws from one to a million paths a video, and tries as often.", "count 0 per video", "count 12 per video"),
    "S204": Page("the shares do not add up", "Either each number of steps has a share and they add up to 1, or none has one.", "steps 1: 1/2, 2: 1/3", "steps 1: 1/2, 2: 1/2"),
    "S205": Page("a number of steps is there twice", "Ranges may not overlap.", "steps 1..2, 2..3", "steps 1..3"),
    "S206": Page('shares that cannot be met', 'There are fewer paths than numbers of steps, or forms, to share them among.', 'count 2 per video\n  steps 1..3', 'count 3 per video\n  steps 1..3'),
    "S207": Page('the shares of times are more than the whole', '`during`, `before`, `after` and `span` share one whole; what is left has no time.', 'during 2/3\n  after  2/3', 'during 1/2\n  after  1/4'),
    "S208": Page('that many options are no choice', 'A multiple choice has from 2 to 26 options, the answer among them.', 'options 1', 'options 4'),
    "S209": Page('two clauses do not go together', 'A form that picks one of several answers needs to be sure of it.', 'form first\n  ambiguous', 'form first\n  unique'),
    "S210": Page("no path can be that long", "A node is described by one edge a step. `attr` and `motion` end in a value, which is not described further; only `rel` and `ref` lead on.", "steps 3\n  expand attr", "steps 3\n  expand attr, rel"),
    "S301": Page('a placeholder means nothing here', 'A wording knows the placeholders of its block (the ends of its edge, by the names in the head of the block), and the phrases and constants of the spec.', 'edge rel(s -> o) { find o { ask "What is {x} {rel}?" } }', 'edge rel(s -> o) { find o { ask "What is {s} {rel}?" } }'),
    "S302": Page('a placeholder has no such part', 'Only a value has `.kind` (of an attribute), and only an end of a reference has `.event`; in a whole path what a relation finds has `.rel`.', '"{v.name}"', '"{v.kind}"'),
    "S303": Page("a brace without its partner", "Placeholders are written {name}; a brace cannot be written otherwise.", '"What is {o?"', '"What is {o}?"'),
    "S304": Page("a wording is empty", "A question, a name or a sentence needs words.", 'ask ""', 'ask "What is {o} doing?"'),
    "S305": Page("something is there twice", "Each clause, block and line is written once; alternatives are separated by `|`.", 'ask "A?"\n    ask "B?"', 'ask "A?" | "B?"'),
    "S306": Page('a line of `time` does not say what it must', '`during`, `before` and `after` say the event and the question, `span` its start, its end and the question.', 'during "Once, {question}"', 'during "While {event}, {question}"'),
    "S307": Page("a spec needs a `paths` block", "It says what to sample; everything in it has a default.", "spec mine\nedge attr(o -> v) { … }", "spec mine\npaths { }\nedge attr(o -> v) { … }"),
    "S308": Page("a kind to start from has no wording", "A kind in `start` needs an `edge` block with a `find`.", "start attr, motion\n…\nedge attr(o -> v) { … }", "start attr\n…\nedge attr(o -> v) { … }"),
    "S309": Page("a kind to expand along has no `name`", "An expanded node is replaced by a description: the `name` of the edge it is expanded along.", 'find s { ask "What is {rel} {o}?" … }', 'find s { ask "What is {rel} {o}?" name "the object {rel} {o}" … }'),
    "S310": Page('a time range cannot be said', 'Some paths get a time range, and no line of `time` words it.', 'paths { during 1/2 }', 'paths { during 1/2 }\ntime { during "While {event}, {question}" }'),
    "S311": Page("a question says its answer", "`ask` may not mention the end that is found.", 'find o { ask "Is {s} {rel} {o}?" }', 'find o { ask "What is {s} {rel}?" }'),
    "S312": Page("a description says what it describes", "`name` stands in a longer question for the found node, whose name is a sub-answer.", 'find s { name "{s}, {rel} {o}" }', 'find s { name "the object {rel} {o}" }'),
    "S313": Page("a value needs no `name`", "Only objects are expanded; the value of an attribute, a motion and an event only end a path.", 'find v { name "red" }', "find v { }"),
    "S314": Page('a block lacks a line', "A `find` needs `ask` and `because`, one that counts `total` too; an edge's `time` needs `when` and `because`; a whole path needs `ask`.", 'find v { ask "What is {o} like?" }', 'find v { ask "What is {o} like?" because "{o} is {v}." }'),
    "S315": Page("an `edge` block is never used", "Its kind is neither in `start` nor in `expand`.", "start attr\nexpand attr\n…\nedge motion(o -> m) { … }", "start attr, motion\nexpand attr\n…\nedge motion(o -> m) { … }"),
    "S316": Page('a declaration is never used', 'A constant or phrase that nothing names, a block with parameters that none is made from, a whole path that no block draws.', 'let few = 3\npaths { count 4 per video }', 'let few = 3\npaths { count few per video }'),
    "S317": Page('a form has no wording', "Each form is worded by the line of its name: in the `find` or `time` of an edge, for comparisons in `pair`. `choice` takes the `ask` lines; `which-…` needs the `fact` of an edge's `time` besides.", 'paths { form count }', 'paths { form count }\nedge rel(s -> o) { find o { … count "How many things is {s} {rel}?" total "That makes {n}." } }'),
    "S319": Page('a claim claims nothing', 'A yes-no question names what it asks about: the found end, or the edge itself.', 'find v { claim "Is {o} so?" }', 'find v { claim "Is {o} {v}?" }'),
    "S320": Page('a path goes on from a value', 'Only objects lead on; a value ends a path.', 'path o attr => v rel => p { … }', 'path p rel => o attr => v { … }'),
    "S401": Page('a spec cannot be imported', '`import "other.step"` reads a file beside the spec or in a folder below, never elsewhere; `import step` a spec that comes with stepc.', 'import "../step.step"', 'import step'),
    "S402": Page('specs import each other', 'An import leads back to a file that is being read.', '', ''),
    "S403": Page('there is nothing to override', '`override` changes what an import declares.', 'override edge rel(s -> o) { … }', 'import step\noverride edge rel(s -> o) { … }'),
    "S404": Page('a name that nothing declares', 'A constant is declared by `let`, a parameter in the head of its block, a block by `paths NAME`.', 'count many per video', 'let many = 6\npaths { count many per video }'),
    "S405": Page('a constant of the wrong kind', 'What a name stands for does not fit where it is used.', 'let many = "six"\npaths { count many per video }', 'let many = 6\npaths { count many per video }'),
    "S406": Page('a block is given too many or too few values', '`from NAME(…)` takes a value for each parameter.', 'paths about(k) { start k }\npaths a from about(attr, rel)', 'paths about(k) { start k }\npaths a from about(attr)'),
    "S407": Page('something is made of itself', 'A phrase that holds itself, or a block that is made from itself, never ends.', 'phrase one "{one}"', 'phrase one "the one"'),
    "S408": Page('a wording is too long', 'With its phrases written out it has more than 10000 characters.', '', ''),
    "S501": Page('there is no such set', 'A dataset is split into train, val and test.', 'sets train: 80%, dev: 20%', 'sets train: 80%, val: 20%'),
    "S502": Page('there is no such format', 'What is written is `jsonl`, a record a sample, or `chat`, conversations.', 'formats json', 'formats jsonl'),
    "E001": Page("a benchmark's file is not as it should be", "It is not there, it is no JSON, or it does not hold what the benchmark's own files hold. docs/how-to/evaluation.md tells of each benchmark where it comes from and which files are needed.", "stepc eval star -o result --data empty", "stepc eval star -o result --data STAR"),
    "E002": Page("a record of a benchmark is left out", "It lacks a field, or its answer is none of its options. All others are asked, and the number of those left out stands beside the figures."),
    "E003": Page("a question has no video", "Videos are found by name in the folders of `--data` and `--videos`. Where several have the same name, the folders that the benchmark tells decide.", "stepc eval star -o result --data STAR", "stepc eval star -o result --data STAR --videos Charades_v1_480"),
    "E004": Page("another result is in the folder", "A run that was stopped goes on when the same command is given again. Here the model, the benchmark or how it is asked are others; nothing was changed."),
    "E005": Page("this is no result", "A result is the folder that `stepc eval BENCHMARK -o FOLDER` writes.", "stepc eval table 2 mine=empty", "stepc eval table 2 mine=result"),
    "E006": Page("two results cannot be compared", "They are of different benchmarks, or have no question in common."),
    "T001": Page("a dataset cannot be read", "There is no such file, or no sample in it. A dataset is the folder that `stepc compile` writes, or a file like its `qra.jsonl`.", "stepc train films -o trained --videos films", "stepc compile films -o out\nstepc train out -o trained --videos films"),
    "T002": Page("a sample is left out", "It is no sample, it is empty, or its video is not there, is damaged or is another file than it was made from. The number is that of the line; the rest is used."),
    "T003": Page("no sample can be used", "None has its video at hand, or none belongs to the set `train`. Videos are found by name in the folders of `--videos`.", "stepc train out -o trained --videos empty", "stepc train out -o trained --videos films"),
    "T004": Page("another training is in the folder", "A training that was stopped goes on when the same command is given again. Here model, data or recipe are others; nothing was changed."),
    "T005": Page("a package is missing", "Training needs accelerate, and LoRA peft; other arguments may need more, such as tensorboard. Parquet needs pyarrow: stepc[export].", "", "pip install 'stepc[train]'"),
    "T006": Page("arguments of a training do not fit", "What `--config` holds is a JSON object of arguments of transformers.TrainingArguments.", '{"report": "tensorboard"}', '{"report_to": "tensorboard"}'),
    "U001": Page("a command cannot be carried out as given", "The words of the command line do not fit together; the message says which."),
}  # fmt: skip

PAGES |= {
    rule.code: Page(
        rule.says,
        f"A rule of the IR from level {rule.since} on. It is checked after every pass and by "
        "`stepc opt`. A file written by hand breaks it where the caret stands; the output of "
        "a pass never should.",
    )
    for rule in RULES
}
