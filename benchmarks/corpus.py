"""Compiles many short films: memory during compilation, and the time of a rebuild without changes.

    python benchmarks/corpus.py [--films 2000] [--jobs 2] [--plot docs/_static/memory.svg]

Renders films of one shot and compiles them in a separate process. The memory of that process and its workers
is sampled every five seconds. Then everything is compiled twice more. The pipeline makes few model calls,
because this benchmark is about the number of videos.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIPELINE = (
    "split-uniform,keyframes-uniform(per_clip=2),parse(samples=1),merge,bridge,sample,compose,check"
)


def resident(pid: int) -> int:
    """Resident memory of a process in KB; 0 if it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")), 0)


def children(pid: int) -> list[int]:
    """Process ids of the direct children of a process."""
    try:
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def measured(command: list[str], units: Path) -> list[tuple[int, int, int]]:
    """Every five seconds: (units done, MB of the process, MB of its largest worker)."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    rows = []
    while process.poll() is None:
        time.sleep(5)
        done = sum(1 for _ in units.iterdir()) if units.exists() else 0
        workers = [resident(child) for child in children(process.pid)]
        rows.append((done, resident(process.pid) // 1024, max(workers, default=0) // 1024))
    if process.returncode:
        raise SystemExit(f"compilation failed with exit status {process.returncode}")
    return [row for row in rows if row[1]]


def plot(rows: list[tuple[int, int, int]], path: Path) -> None:
    """Plot memory over the number of compiled videos."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "stepc"
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7, 3), layout="constrained")
    done = [row[0] for row in rows]
    axis.plot(done, [row[2] for row in rows], label="largest worker (with the model)")
    axis.plot(done, [row[1] for row in rows], label="main process (linking)")
    axis.set_ylim(0)
    axis.set_xlabel("videos compiled")
    axis.set_ylabel("MB")
    axis.legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Render, compile, and recompile twice."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--films", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--plot", type=Path)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        stepc = [sys.executable, "-m", "stepc"]
        films, out = str(root / "films"), root / "out"
        subprocess.run(
            [*stepc, "world", "render", "-o", films, "-n", f"{told.films}", "--shots", "1"],
            check=True,
        )
        command = [*stepc, "compile", films, "-o", str(out), "--store", str(root / "store"),
                   "--jobs", f"{told.jobs}", "--pipeline", PIPELINE]  # fmt: skip
        began = time.perf_counter()
        rows = measured(command, out / "units")
        print(f"{told.films} videos: {time.perf_counter() - began:.0f} s")
        tenths = [rows[len(rows) * i // 10] for i in range(10)] + rows[-1:]
        for done, main_, worker in tenths:
            print(f"{done:8,} done: main process {main_:6,} MB, largest worker {worker:6,} MB")
        for _ in range(2):
            began = time.perf_counter()
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            print(f"recompiled without changes: {time.perf_counter() - began:.1f} s")
        if told.plot:
            plot(rows, told.plot)


if __name__ == "__main__":
    main()
