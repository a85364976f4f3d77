#!/bin/sh
# Opens exports of stepc in a real trainer: check.sh TRAINER [WORK]
#
# TRAINER is datasets, trl, llamafactory, ms_swift, verl or lmms_eval. Its environment and the exports are made
# below WORK (default: .work beside this file). REPO is the checkout of stepc, with its environment in .venv.
# torch is the build that uv finds: for the small one, name a folder that has it in UV_FIND_LINKS, or set
# UV_TORCH_BACKEND=cpu.
set -eu
trainer=$1
here=$(cd "$(dirname "$0")" && pwd)
repo=${REPO:-$(cd "$here/../.." && pwd)}
mkdir -p "${2:-$here/.work}"
work=$(cd "${2:-$here/.work}" && pwd)
python=${PYTHON:-$repo/.venv/bin/python}
uv=${UV:-$repo/.venv/bin/uv}
export OMP_NUM_THREADS=1 UV_FIND_LINKS="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}"

stepc() { "$python" -m stepc "$@"; }

# Films, a dataset with wrong steps for preferences, and one with boxes.
[ -d "$work/films" ] || stepc world render -o "$work/films" -n 6 --seed 3
[ -d "$work/out" ] || stepc compile "$work/films" -o "$work/out" --pipeline \
  'split,keyframes,parse,confirm,merge,bridge,confirm,canonicalize,deny,sample,compose,check,refine,check,wrong-steps,dedupe,balance,split-sets,emit'
[ -d "$work/boxed" ] || stepc world ask "$work/films" -o "$work/boxed"

# The trainer's environment. Those that call stepc's rewards get stepc, too.
[ -d "$work/venv-$trainer" ] || "$uv" venv --quiet --python "$python" "$work/venv-$trainer"
case $trainer in trl | verl | lmms_eval) also=$repo ;; *) also= ;; esac
"$uv" pip install --quiet --python "$work/venv-$trainer" -r "$here/requirements/$trainer.txt" ${also:+"$also"}

# The exports are made in one folder and read in another.
case $trainer in
  datasets) formats="hf trl grpo dpo" ;;
  trl) formats="trl grpo dpo" ;;
  llamafactory) formats="llamafactory llamafactory-frames" ;;
  ms_swift) formats="ms-swift ms-swift-frames turns turns-frames ms-swift-dpo ms-swift-grounded tool-calls" ;;
  verl) formats="verl" ;;
  lmms_eval) formats="lmms-eval" ;;
esac
made=$work/made-$trainer moved=$work/moved-$trainer
rm -rf "$made" "$moved"
for format in $formats; do
  dataset=out media=link
  case $format in *-grounded) dataset=boxed ;; *-frames) media=frames ;; esac
  stepc export "$work/$dataset" --videos "$work/films" --to "${format%-frames}" --media $media -o "$made/$format"
done
mv "$made" "$moved"
ln -s "$work/films" "$work/out" "$moved"
"$work/venv-$trainer/bin/python" "$here/check_$trainer.py" "$moved"
