"""The pages that `stepc explain CODE` prints: one per diagnostic code.

The pages of IR rules (`V…`) are generated from `stepc/ir/verify.py`; the title is the rule itself.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from stepc.ir.verify import RULES


@dataclass(frozen=True)
class Page:
    """The meaning of a diagnostic code and its fix, with optional wrong and right examples."""

    title: str
    text: str
    wrong: str = ""
    right: str = ""

    def shown(self, code: str) -> str:
        """The page as plain text, wrapped at 88 columns (examples are not wrapped)."""
        parts = [f"{code}: {self.title}", textwrap.fill(self.text, 88)]
        if self.wrong:
            parts.append("Wrong:\n\n" + textwrap.indent(self.wrong, "    "))
        if self.right:
            parts.append("Right:\n\n" + textwrap.indent(self.right, "    "))
        return "\n\n".join(parts)


PAGES: dict[str, Page] = {
    "B001": Page("a video file is empty", "The file has no bytes: a copy was interrupted, or the file was never written. Copy it again or remove it."),
    "B002": Page("a file cannot be decoded as video", "FFmpeg finds no video in the file. The file is of another kind, or it was cut off and lost its index. Check that it plays, or convert it."),
    "B003": Page("a file has no video stream", "The file holds only sound or cover pictures. stepc needs a video stream. Remove the file from the input."),
    "B004": Page("a video has no frames", "The file has a video stream, but no frame can be decoded from it. Copy the file again or remove it."),
    "B005": Page("a video is too small", "A frame must be at least 16 pixels wide and high. Use a version with a higher resolution, or remove the file."),
    "B006": Page("a file cannot be read", "The file does not exist, is not readable, or should be UTF-8 text and is not. Check the path and its permissions."),
    "B007": Page("a video is damaged", "Decoding started and then failed, or the file is shorter than its header says. The video is skipped and the others are compiled. Copy the file again, or use --keep-decodable, which takes what can be decoded and says what is left out (B025)."),
    "B008": Page("a video file is missing", "A pass needs pictures of a video, but only the IR of the video was given. Name the video file with `--video`. stepc matches it by content, so its name does not matter.", "stepc opt kitchen.ir --pipeline keyframes", "stepc opt kitchen.ir --pipeline keyframes --video kitchen.mp4"),
    "B009": Page("a file name is not UTF-8", "The file name becomes the name of the unit and is written to the dataset, which is UTF-8. Rename the file."),
    "B010": Page("a folder holds no video", "In a folder, stepc takes only files with a known video extension. To compile a file with another extension, name the file itself."),
    "B011": Page("two videos have the same name", "A unit is named after the path of its file below the folder that you named, without the extension, and unit names must be unique. The first file in sorted order is compiled and the other is skipped. Files of the same path in several folders are named below the folder that holds all of these, unless some of the paths are relative and some absolute, or lead upwards. Rename one of the files, or name the folder that holds both."),
    "B012": Page("memory ran out", "The video is skipped and the others are compiled. Use fewer workers (--jobs 1), or allow more memory per worker with --memory GB."),
    "B013": Page("a worker process ended", "The process that compiled the video crashed or was killed, most often because memory ran out. The video is skipped and the others are compiled. Later runs skip it too, until you use --retry or a higher --memory or --patience. Fewer workers (--jobs) leave more memory for each."),
    "B014": Page("a file cannot be written", "The disk is full, the folder is not writable, or the path is taken by something else. Files that were written before are complete. Free space, fix the permissions, or name another path."),
    "B015": Page("the store cannot be used", "The store folder is full, not writable or not a folder. Without a home folder, as in some containers, the store is among the temporary files. Or the store is at a URL that cannot be reached, or the package for that URL is not installed. The compile continues without caching, so the next run repeats the work. Name another store with --store, or turn it off with --no-store."),
    "B016": Page("the store is damaged", "An entry, or the whole store file, differs from what was written. A damaged entry is computed again. A damaged store file is renamed and replaced by a new one. Damaged data is never used."),
    "B017": Page("a video made no progress for too long", "No frame was decoded, no model call returned and no pass finished within --patience seconds. The decoder hangs, or the model is slower than that. The worker was ended, the video is skipped and the others are compiled. Later runs skip it too, until you use --retry or a higher --patience.", "", "stepc compile videos -o out --patience 3600 --retry"),
    "B018": Page("an earlier run gave up on this video", "In an earlier run the worker of this video was killed, hung, or ran out of memory. Trying again could cost as much once more, so stepc skips the video. Use --retry, or a higher --patience or --memory, to try again.", "", "stepc compile videos -o out --retry"),
    "B019": Page("the cluster cannot be used", "There is no Ray cluster at RAY_ADDRESS, it does not answer, it failed during the run, or it has fewer CPUs or GPUs than the model replicas need. If RAY_ADDRESS is not set, stepc starts a local cluster on this machine.", "", "RAY_ADDRESS=auto stepc compile videos -o out --engine ray"),
    "B020": Page("a cluster machine has a different stepc", "Machines with different code would produce different datasets. Install the same version on all machines, for example with one container image."),
    "B021": Page("compiling a video crashed", "Something failed that stepc did not foresee: a bug in stepc, in a library, or in a plug-in. The video is skipped, and the rest of the corpus is compiled. OUT/crashes/NAME.txt has the traceback; please report it."),
    "B022": Page("the worker processes cannot work", "stepc decodes videos in processes of its own. They cannot be started here, for example in a daemon process, or because a limit of the machine is reached. Everything is compiled in the main process instead: the result is the same, but slower, and without limits of time and memory per video."),
    "B023": Page("a finished dataset would be lost", "The output folder holds a dataset, and this run would replace it by one that lacks some of its videos: a path was misspelt, a folder was empty, a server was down, or the run was stopped. The dataset is left as it was. What was compiled is in the store, so the same command with --replace costs little. An export is not replaced either by one in another format, or by one that lacks some of its videos, and never goes into the folder of a dataset."),
    "B024": Page("two processes write to one folder", "Another stepc process writes to the same output folder; both would overwrite each other's files. Wait for it, or name another folder. If no such process runs, remove the file .lock in the folder."),
    "B025": Page("a part of a video is left out", "The video is damaged, or was put together from several files. What can be decoded is used, and the message says what is missing. Without --keep-decodable, a video with parts that cannot be decoded at all is an error (B007)."),
    "I001": Page("an IR file cannot be parsed", "A line is not a statement of the IR. `grammar/ir.lark` lists all statements.", "static  c0/table table [3/3 yes]", 'static  c0/table "table" [3/3 yes]'),
    "I002": Page("an IR file has another schema version", "The file was written by another version of stepc. Compile the video again, or use that version.", 'stsg 2 "kitchen"', 'stsg 1 "kitchen"'),
    "I003": Page("an IR statement has an invalid value", "The statement is well formed, but one of its values is out of range, in the wrong place, or missing.", "clip    c0 0.000..2.000\nframe   c1.k0 at 0.500", "clip    c0 0.000..2.000\nframe   c0.k0 at 0.500"),
    "I004": Page("an IR statement does not fit the level of the file", "The header names the level of the file. Motions need level tsg or later, references and events stsg or later, paths need paths or later, and samples need qra.", 'fsg 1 "kitchen"\n…\nref     c0/table == c1/table [2/3 yes]', 'stsg 1 "kitchen"\n…\nref     c0/table == c1/table [2/3 yes]'),
    "M001": Page("a call was never recorded", "A cassette answers only the calls that were recorded. This call differs in its instruction, keyframes, number of samples, temperature or seed. Record the cassette again.", "", "stepc compile videos -o out --model embedded --record calls.jsonl"),
    "M002": Page("the cassette does not exist", "There is no file at the path after `replay:` or `--parsing`. Check the path, or record a cassette with `stepc compile … --record FILE`."),
    "M003": Page("a cassette is damaged", "A line of the cassette is not a recorded call. Record the cassette again."),
    "M004": Page("a model cannot be loaded", "The name is neither a folder nor a hub id of an image-text-to-text model, or a package that the model needs is not installed. Local models, the embedded one too, need torch and transformers: stepc[local].", "", "stepc compile videos -o out --model HuggingFaceTB/SmolVLM2-500M-Video-Instruct"),
    "M005": Page("a template set cannot be used", "A template set is a folder of templates, each named after its request. Requests without a template use the one in `default`. Each template begins with its answer form: `{#- answer: json -#}`, `{#- answer: words -#}` or `{#- answer: thought -#}`. A template may use only the variables of its request. A template folder is used only if you name it with `--templates`; a model or cassette cannot select one."),
    "M006": Page("the embedded model does not know what it is shown", "The embedded model is small and knows only the rendered world (`stepc world render`). Shown anything else, it would describe shapes that are not there, so it refuses the video. For real footage, name a Video-LLM: a hub id or folder of any transformers image-text-to-text model.", "stepc compile holiday.mp4 -o out", "stepc compile holiday.mp4 -o out --model Qwen/Qwen2.5-VL-7B-Instruct"),
    "M007": Page("no model server is configured", "`openai:MODEL` needs the address of an OpenAI-compatible server (`--base-url`), or an API key for the official server in the environment.", "stepc compile videos -o out --model openai:my-model", "stepc compile videos -o out --model openai:my-model --base-url http://127.0.0.1:8000/v1"),
    "M008": Page("a model server cannot be used", "The server is not reachable, does not know the model or the key, or keeps failing. Temporary failures are retried. The compile stops, because every other video would fail in the same way. With `--record`, the next run does not repeat calls that were answered."),
    "M009": Page("the budget is spent", "`--max-requests`, `--max-tokens` or `--max-cost` is reached. The videos compiled so far are in the dataset. With `--record`, the same command with a larger budget continues where this run stopped.", "", "stepc compile videos -o out --model openai:my-model --record calls.jsonl --max-cost 20 --price 0.15/0.60"),
    "M010": Page("a server refuses every request", "The server answers none of the requests: the model sees no pictures, the context is too short, or an option is unknown. A single request that is refused never stops a run; it counts among the replies without an answer (M011). `stepc model check` shows what the server supports."),
    "M011": Page("many replies have no answer", "Replies were empty, cut off, refused or unreadable. They are not cached: the next run asks for them again. The message names the request, the cause and the share, and the help names the option that helps most.", "", "stepc compile videos -o out --model openai:my-model --reply-tokens 4096"),
    "M012": Page("a server does not accept a feature", "Requests are sent without this feature from now on, and the manifest records it. Without `seed`, two runs may differ; without a JSON schema, more replies are unreadable; without `n`, each sample takes a request of its own."),
    "M013": Page("the model may not see", "Before the first call, the model is shown a picture of a number and asked for it. It answered something else, so its answers about your videos may be guesses. Try it on your own frames with `stepc model check MODEL --videos FOLDER`."),
    "P001": Page("a pipeline cannot be parsed", "Separate passes by commas and put options in parentheses.", "split keyframes", "split,keyframes(per_clip=3)"),
    "P002": Page("unknown pass", "No pass has this name, or the pass named by `--after` or `--dump-after` is not in the pipeline. `stepc passes` lists all passes.", "split,keyfames", "split,keyframes"),
    "P003": Page("unknown option of a pass", "The pass does not have this option. `stepc passes PASS` lists its options.", "keyframes(n=3)", "keyframes(per_clip=3)"),
    "P004": Page("invalid value of a pass option", "`stepc passes PASS` shows which values an option takes.", "parse(samples=0)", "parse(samples=3)"),
    "P005": Page("two passes do not fit together", "Each pass takes one level of the IR and returns one. The output level of a pass must be the input level of the next. Link passes work on the whole corpus and must come last. Levels are checked before any pass runs.", "split,keyframes,merge", "split,keyframes,parse,merge"),
    "P006": Page("a pass needs a model", "The pass asks a Video-LLM. Name one with `--model`.", "stepc opt f.fsg --pipeline confirm", "stepc opt f.fsg --pipeline confirm --model embedded"),
    "P007": Page("a pass needs a spec", "`sample` and `compose` need a .step file. Name one with `--spec`."),
    "P008": Page("a unit breaks the rules of the IR", "The input or output of a pass does not verify. The broken rules follow. If a pass of stepc returned this unit, it is a bug in stepc: please report it with the input (`--dump-after`)."),
    "P009": Page("too many paths to enumerate", "`enumerate` lists all paths of a graph, up to two million walks. Long paths on a large graph exceed this limit. Remove `enumerate`, use fewer steps, or filter what a path may use.", "steps 9\n  enumerate", "steps 9"),
    "P010": Page("a pass crashed", "The pass raised an exception that it does not handle: a bug in the pass, or in a library that it uses. The video is skipped, and the rest of the corpus is compiled. OUT/crashes/NAME.txt has the traceback."),
    "P011": Page("a pass does not say its levels", "A pass names the level it takes and the level it gives as type arguments: class Mine(Pass[Stsg, Stsg]). Without them, stepc cannot tell where in a pipeline it fits."),
    "S001": Page("a spec cannot be parsed", "A word or symbol is not allowed at this place. The help line lists what is allowed. Strings are in double quotes and end on the same line.", "paths { steps 1: 1/2 2: 1/2 }", "paths { steps 1: 1/2, 2: 1/2 }"),
    "S002": Page("a string has an unknown escape", r'The escapes are \", \\, \n, \t, and \u with four hexadecimal digits.', r'ask "a \q"', r'ask "a \\"'),
    "S101": Page("unknown edge kind", "The edge kinds are attr, rel, motion, ref and event, as in the STSG, and `next`, which joins an event to the one after it.", 'start attributes, rel', 'start attr, rel'),
    "S102": Page("the ends of an edge need different names", "Both ends and the edge itself are placeholders in wordings, so their three names must differ.", "edge rel(o -> o) { }", "edge rel(s -> o) { }"),
    "S103": Page("`find` does not name an end of the edge", "`find` takes one of the two names in the head of the block. In a `rel` edge it also takes `rel`, the predicate.", "edge rel(s -> o) { find x { … } }", "edge rel(s -> o) { find o { … } }"),
    "S104": Page("an event cannot describe an object", "Every object of a clip is visible while the event of the clip happens, so an event does not identify one of them. A question can ask for an event, use it as a time range, or ask for the event before or after it.", 'expand attr, event', 'expand attr'),
    "S105": Page("unknown filter", "`only` and `forbid` take label, predicate, motion, kind (of an attribute), value (of an attribute), event, clip, time, static, dynamic, same-clip and across-clips. `require` takes confidence.", 'forbid name "thing"', 'forbid label "thing"'),
    "S106": Page("a filter has invalid arguments", "`static`, `dynamic`, `same-clip` and `across-clips` take no arguments. `clip` takes numbers such as 0..2. `time` takes ranges such as 2s..8.5s, start before end. All other filters take strings.", 'forbid label', 'forbid label "thing", "object"'),
    "S107": Page("unknown line in a block", "Each kind of block has its own lines. The help line names the closest one.", 'find o { aks "What is {s} {rel}?" }', 'find o { ask "What is {s} {rel}?" }'),
    "S108": Page("a line does not fit its block", "`first` and `last` need relations or motions. `longest` and `shortest` need motions, and `time` needs motions or events. `count` needs something that can occur several times. A whole path takes only `ask`.", 'edge attr(o -> v) { find v { longest "…" } }', 'edge motion(o -> m) { find m { longest "…" } }'),
    "S109": Page("unknown form", "A form is the way a path is asked, for example ask, claim or count. The language reference lists all forms; plug-ins add others.", 'form clame', 'form claim'),
    "S110": Page("an edge kind does not allow this direction", "`=>` finds the far end, `<=` finds the near end, and `--` finds the edge itself: the predicate of a relation, or the time of a motion or event.", 'start attr --', 'start rel --'),
    "S111": Page("unknown word filter", "After a bar, a placeholder takes the, a, bare, plural, is, has, does, cap or low. A phrase takes no filters.", '"{o|an}"', '"{o|a}"'),
    "S112": Page("a clause does not take this word", "Options come from graph, clip or corpus. `no-revisit` takes nodes, labels and kinds.", 'options 4 from video', 'options 4 from graph'),
    "S201": Page("invalid number of steps", "A path has at least one step, and a range goes from the smaller number to the larger.", "steps 3..1", "steps 1..3"),
    "S202": Page("a share is not between 0 and 1", "Shares are fractions or percentages of at most 1. The denominator must not be 0.", "during 3/2", "during 2/3"),
    "S203": Page("a count is out of range", "`count` and `tries` must be between 1 and 1,000,000.", "count 0 per video", "count 12 per video"),
    "S204": Page("shares do not add up to 1", "Give every item a share so that all shares add up to 1, or give none. Likewise give every wording a weight, or give none.", "steps 1: 1/2, 2: 1/3", "steps 1: 1/2, 2: 1/2"),
    "S205": Page("duplicate number of steps", "Ranges of steps must not overlap.", "steps 1..2, 2..3", "steps 1..3"),
    "S206": Page("too few paths to share out", "`count` is smaller than the number of step counts, or of forms, that share it. Raise `count`, or name fewer of them.", 'count 2 per video\n  steps 1..3', 'count 3 per video\n  steps 1..3'),
    "S207": Page("shares of times add up to more than 1", "`during`, `before`, `after` and `span` share the paths of a block. The rest of the paths have no time.", 'during 2/3\n  after  2/3', 'during 1/2\n  after  1/4'),
    "S208": Page("invalid number of options", "A multiple choice needs 2 to 26 options, including the answer.", 'options 1', 'options 4'),
    "S209": Page("two clauses contradict each other", "The forms `first`, `last`, `longest` and `shortest` pick one of several answers, so they need `unique`.", 'form first\n  ambiguous', 'form first\n  unique'),
    "S210": Page("no path can be this long", "Each step describes a node by one edge. `attr` and `motion` end in a value, which cannot be described further. Only `rel` and `ref` lead to another object. An event is not described by other edges.", "steps 3\n  expand attr", "steps 3\n  expand attr, rel"),
    "S301": Page("unknown placeholder", "A wording may use the placeholders of its block (the end names in the head of the block), and the phrases and constants of the spec.", 'edge rel(s -> o) { find o { ask "What is {x} {rel}?" } }', 'edge rel(s -> o) { find o { ask "What is {s} {rel}?" } }'),
    "S302": Page("unknown part of a placeholder", "`.kind` belongs to the value of an attribute, and `.event` to an end of a reference. In a whole path, `.rel` belongs to an object that was found by a relation.", '"{v.name}"', '"{v.kind}"'),
    "S303": Page("unmatched brace", "Write a placeholder as {name}. Braces have no other use in a wording.", '"What is {o?"', '"What is {o}?"'),
    "S304": Page("empty wording", "A wording needs at least one word. Write some text, or remove the line.", 'ask ""', 'ask "What is {o} doing?"'),
    "S305": Page("duplicate clause, block or line", "Write each clause, block, line and name once. Separate alternative wordings by `|`. To change an imported declaration, put `override` before it.", 'ask "A?"\n    ask "B?"', 'ask "A?" | "B?"'),
    "S306": Page("a line of `time` lacks a placeholder", "`during`, `before` and `after` need {event} and {question}. `span` needs {start}, {end} and {question}.", 'during "Once, {question}"', 'during "While {event}, {question}"'),
    "S307": Page("a spec needs a `paths` block", "The block says what to sample. Every clause in it has a default. At least one block must have no parameters, since a block with parameters draws nothing by itself.", "spec mine\nedge attr(o -> v) { … }", "spec mine\npaths { }\nedge attr(o -> v) { … }"),
    "S308": Page("an edge kind in `start` has no wording", "Each kind in `start` needs an `edge` block with a `find` or a `time`.", "start attr, motion\n…\nedge attr(o -> v) { … }", "start attr\n…\nedge attr(o -> v) { … }"),
    "S309": Page("an edge kind in `expand` has no `name`", "An expanded node is replaced by a description: the `name` of the edge that expands it.", 'find s { ask "What is {rel} {o}?" … }', 'find s { ask "What is {rel} {o}?" name "the object {rel} {o}" … }'),
    "S310": Page("a time range has no wording", "Some paths get a time range, but the `time` block has no line for it.", 'paths { during 1/2 }', 'paths { during 1/2 }\ntime { during "While {event}, {question}" }'),
    "S311": Page("a question reveals its answer", "A question must not mention the node that it asks for. `total` lists several answers, so it uses {all}.", 'find o { ask "Is {s} {rel} {o}?" }', 'find o { ask "What is {s} {rel}?" }'),
    "S312": Page("a description names the node it describes", "In a longer question, `name` replaces the found node. The label of that node is a sub-answer, so `name` must not mention it.", 'find s { name "{s}, {rel} {o}" }', 'find s { name "the object {rel} {o}" }'),
    "S313": Page("a value needs no `name`", "Only objects are expanded. The value of an attribute, a motion and an event always end a path. Remove the line.", 'find v { name "red" }', "find v { }"),
    "S314": Page("a required line is missing", "A `find` needs `ask` and `because`, and `total` if it has `count`. The `time` of an edge needs `when` and `because`. A whole path needs `ask`.", 'find v { ask "What is {o} like?" }', 'find v { ask "What is {o} like?" because "{o} is {v}." }'),
    "S315": Page("an `edge` block is never used", "Its kind is neither in `start` nor in `expand`. Add the kind to one of them, or remove the block.", "start attr\nexpand attr\n…\nedge motion(o -> m) { … }", "start attr, motion\nexpand attr\n…\nedge motion(o -> m) { … }"),
    "S316": Page("a declaration is never used", "No wording or clause uses this constant or phrase, no block is made from this block with parameters, or no block draws this whole path. Use it or remove it.", 'let few = 3\npaths { count 4 per video }', 'let few = 3\npaths { count few per video }'),
    "S317": Page("a form has no wording", "Each form needs a line of the same name: in the `find` or `time` of an edge, or in `pair` for comparisons. `choice` uses the `ask` lines. The `which-…` forms also need `fact` in the `time` of an edge.", 'paths { form count }', 'paths { form count }\nedge rel(s -> o) { find o { … count "How many things is {s} {rel}?" total "That makes {n}." } }'),
    "S319": Page("a claim does not mention what it claims", "A yes-no question names the node that it asks about: the found end, or the edge itself.", 'find v { claim "Is {o} so?" }', 'find v { claim "Is {o} {v}?" }'),
    "S320": Page("a path continues from a value", "Only objects lead to further edges. A value ends a path.", 'path o attr => v rel => p { … }', 'path p rel => o attr => v { … }'),
    "S321": Page("a condition that cannot be tested", "A condition of an `edge` block names an end, the predicate, `v.kind`, `form` or `block`, and then what it must be: strings, a class such as person, static or dynamic, singular or plural, named or common, plain, short or described, verb or place, noun or adjective. All words of one condition test the same.", 'edge rel(s -> o) if s red { … }', 'edge rel(s -> o) if s person and rel "holding" { … }'),
    "S322": Page("two blocks may both word an edge", "Two `edge` blocks with conditions may both fit an edge, both have the line, and neither is narrower. Add a block with the conditions of both, or make one of them narrower.", 'edge rel(s -> o) if s person { … }\nedge rel(s -> o) if o plural { … }', 'edge rel(s -> o) if s person and o plural { … }'),
    "S323": Page("a wording says more than its question asks", "A wording has a common word that negates, compares, counts or speaks of times, and its query does not. The answer is proved for the query, so such a question is asked with an answer that is wrong for its words. Use the form that asks it, such as `count` or `last`, reword it, or silence the warning with `allow negates`, `allow compares`, `allow counts` or `allow dates` if it is meant as it is.", 'ask "Which object is not {v}?"', 'ask "Which object is {v}?"'),
    "S324": Page("a pattern is not whole", "The facts, the result and the wordings of a `pattern` block do not fit together. A variable is an object or a value, not both; what is found or counted is one of the variables; the ends of a fact with `not` are in facts before it; the question says each predicate that is not fixed, and the kind of each value that it does not say; all its wordings say the same variables; and each edge kind of its facts has the lines `claim` and `because`, by which the rationale tells the facts one by one.", 'where s rel => o  find o  ask "What is with {s}?"', 'where s rel(r) => o  find o  ask "What is {s} {r}?"'),
    "S401": Page("a spec cannot be imported", '`import "other.step"` reads a file in the folder of the spec or in a folder below it, and no other. `import step` reads a spec that comes with stepc.', 'import "../step.step"', 'import step'),
    "S402": Page("circular import", "An import leads back to a file that is already being read. Remove one of the imports.", '', ''),
    "S403": Page("nothing to override", "`override` changes a declaration that comes from an import. Import it first, or declare it without `override`.", 'override edge rel(s -> o) { … }', 'import step\noverride edge rel(s -> o) { … }'),
    "S404": Page("unknown name", "`let` declares a constant, the head of a block declares its parameters, and `paths NAME` declares a block.", 'count many per video', 'let many = 6\npaths { count many per video }'),
    "S405": Page("a constant has the wrong type", "The value of the constant does not fit the place where it is used.", 'let many = "six"\npaths { count many per video }', 'let many = 6\npaths { count many per video }'),
    "S406": Page("wrong number of values for a block", "`from NAME(…)` takes one value per parameter of the block.", 'paths about(k) { start k }\npaths a from about(attr, rel)', 'paths about(k) { start k }\npaths a from about(attr)'),
    "S407": Page("circular definition", "A phrase must not contain itself, and a block must not be made from itself.", 'phrase one "{one}"', 'phrase one "the one"'),
    "S408": Page("a wording is too long", "With its phrases expanded, a wording may have at most 10,000 characters. Use fewer phrases inside phrases.", '', ''),
    "S501": Page("unknown set", "The sets of a dataset are train, val and test.", 'sets train: 80%, dev: 20%', 'sets train: 80%, val: 20%'),
    "S502": Page("unknown output format", "The formats are `jsonl` (one record per sample), `chat` (conversations) and `parquet` (the records as Parquet).", 'formats json', 'formats jsonl'),
    "E001": Page("the files of a benchmark are not as expected", "A file is missing, is not valid JSON, or does not have the layout of the original benchmark files. docs/how-to/evaluation.md says where each benchmark comes from and which files it needs.", "stepc eval star -o result --data empty", "stepc eval star -o result --data STAR"),
    "E002": Page("a benchmark record is skipped", "A field of the record is missing, its answer is not one of its options, or its id is not unique. All other questions are asked. The number of skipped records is printed beside the figures."),
    "E003": Page("a question has no video", "Videos are looked up by name in the folders of `--data` and `--videos`. If several videos have the same name, the folders in the benchmark's files decide. The video must be readable and, where its hash is known, unchanged.", "stepc eval star -o result --data STAR", "stepc eval star -o result --data STAR --videos Charades_v1_480"),
    "E004": Page("the folder holds another evaluation", "The same command resumes a run that was stopped. Here the model, the benchmark or the settings differ, so nothing was changed. Name another folder with -o, or remove this one."),
    "E005": Page("not an evaluation result folder", "A result is a folder that `stepc eval BENCHMARK -o FOLDER` wrote.", "stepc eval table 2 mine=empty", "stepc eval table 2 mine=result"),
    "E006": Page("two results cannot be compared", "The results are of different benchmarks, or have no graded question in common."),
    "T001": Page("a dataset cannot be read", "The file does not exist or holds no sample. A dataset is a folder that `stepc compile` wrote, or a file such as its `qra.jsonl`.", "stepc train films -o trained --videos films", "stepc compile films -o out\nstepc train out -o trained --videos films"),
    "T002": Page("a sample is skipped", "The record is invalid or empty, or its video is missing, damaged, or not the file that the sample was made from. The number in the message is the line number. All other samples are used."),
    "T003": Page("no sample can be used", "No sample was made, no sample has its video, or none belongs to the set `train`. Videos are looked up by name in the folders of `--videos`.", "stepc train out -o trained --videos empty", "stepc train out -o trained --videos films"),
    "T004": Page("the folder holds another training", "The same command resumes a training that was stopped. Here the model, the data or the recipe differ, so nothing was changed. Name another folder with -o, or remove this one."),
    "T005": Page("a package is missing", "Local models need torch and transformers: stepc[local]. Training needs accelerate, and LoRA needs peft. Other training arguments may need more packages, such as tensorboard. Plots need matplotlib: stepc[plots]. Parquet needs pyarrow: stepc[export].", "", "pip install 'stepc[train]'"),
    "T006": Page("training arguments are invalid", "`--config` takes a JSON object with arguments of transformers.TrainingArguments.", '{"report": "tensorboard"}', '{"report_to": "tensorboard"}'),
    "U001": Page("invalid command-line arguments or configuration", "The arguments do not fit together, or a value cannot be used. The message says which. The same applies to the keys and values of `stepc.toml`, of the table `[tool.stepc.compile]` in `pyproject.toml`, and of the environment variables `STEPC_COMPILE_…`."),
    "X001": Page("two packages claim one name", "Passes, backends, benchmarks, formats, question forms, specs and template sets are known by name. A plug-in uses a name that is built in, or that another plug-in uses. Uninstall one of the packages, or ask its author to rename."),
    "X002": Page("a plug-in cannot be loaded", "The module that its entry point names cannot be imported. Reinstall the package, or remove it. `stepc plugins` lists all plug-ins."),
    "X003": Page("a plug-in is not usable", "Its entry point names something of the wrong kind. The help line says what the group expects."),
    "X004": Page("a plug-in failed", "Its code raised an exception, or returned something of the wrong type; the message says what and where. Report it to the package's author. Finished results are kept."),
}  # fmt: skip

PAGES |= {
    rule.code: Page(
        rule.says,
        f"This rule of the IR applies from level {rule.since} on. stepc checks it after every pass, "
        "and `stepc check` and `stepc opt` check it in IR files. In a file written by hand, the "
        "caret marks the place to fix. If a pass returned the unit, it is a bug in the pass.",
    )
    for rule in RULES
}
