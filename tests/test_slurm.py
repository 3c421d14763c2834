"""``minifold slurm``: the job script, run by bash with a Slurm and a training that are fakes.

The fake ``minifold`` answers ``runs show`` as the real one does, from states as they are written.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from minifold_core.cli.main import run
from minifold_core.data.dataset import DEMO_PATH

FAKE = f"""#!{sys.executable}
import os, signal, sys, time
from pathlib import Path
home, words = Path(os.environ["FAKE_HOME"]), sys.argv[1:]
if words[0] == "runs":
    from minifold_core.cli.main import run
    sys.exit(run(words))
with (home / "log").open("a") as log:
    log.write(" ".join(["minifold", *words]) + "\\n")
sys.path.insert(0, {str(Path(__file__).parent)!r})
from run_files import write_run, write_state
directory = Path(words[1] if words[0] == "resume" else words[words.index("--run-dir") + 1])
action, step, code = (home / "plan").read_text().splitlines()[0].split()
(home / "plan").write_text("".join((home / "plan").read_text().splitlines(True)[1:]))
def leave(*_):
    if int(step) >= 0:
        directory.exists() or write_run(directory)
        write_state(directory, int(step))
    os._exit(int(code))
if action == "wait":
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(99))
    (home / "ready").touch()
    time.sleep(60)
leave()
"""
SAY = '#!/bin/sh\necho "{name} $*" >>"$FAKE_HOME/log"\nexit "${{FAKE_{name}:-0}}"\n'


@dataclass(frozen=True)
class Cluster:
    """A directory with fakes on its PATH, and the job script."""

    home: Path

    @property
    def directory(self) -> Path:
        return self.home / "some runs" / "it's one"

    def plan(self, *actions: str) -> None:
        """What the training of each job does: ``end`` or ``wait``, step saved, exit code."""
        (self.home / "plan").write_text("".join(f"{action}\n" for action in actions))

    def start(self, **environment: str) -> subprocess.Popen[str]:
        path = f"{self.home / 'bin'}:{os.environ['PATH']}"
        given = {"PATH": path, "FAKE_HOME": str(self.home), "SLURM_JOB_ID": "7"}
        return subprocess.Popen(
            ["bash", str(self.home / "job.sh")],
            env=os.environ | given | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def job(self, **environment: str) -> tuple[int, str]:
        """Run a job to its end: its exit code and what it said."""
        process = self.start(**environment)
        said, _ = process.communicate(timeout=60)
        return process.returncode, said

    def signalled(self, number: signal.Signals) -> tuple[int, str]:
        """A job whose shell gets a signal once the training is at work."""
        process = self.start()
        try:
            deadline = time.monotonic() + 60
            while not (self.home / "ready").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(number)
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        (self.home / "ready").unlink()
        return process.returncode, said

    def log(self) -> list[str]:
        """The commands since the last look, without the options of training."""
        lines = (self.home / "log").read_text().splitlines()
        (self.home / "log").write_text("")
        return [" ".join(line.split()[:2]) for line in lines]


@pytest.fixture
def cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cluster:
    made = Cluster(tmp_path)
    (tmp_path / "bin").mkdir()
    scripts = {name: SAY.format(name=name) for name in ("scontrol", "sbatch")}
    for name, text in {"minifold": FAKE, **scripts}.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    training = ["--size", "nano", "--run-dir", str(made.directory)]
    arguments = ["slurm", "v13", "--out", str(tmp_path / "job.sh"), "--", *training]
    assert run(arguments) == 0, capsys.readouterr().err
    return made


def test_a_training_goes_on_from_job_to_job_until_it_is_finished(cluster: Cluster) -> None:
    cluster.plan("wait 40 143", "wait 80 143", "end 100 0")
    code, said = cluster.signalled(signal.SIGUSR1)
    assert (code, cluster.log()) == (0, ["minifold train", "scontrol requeue"]), said
    assert "saved at step 40; back into the queue" in said
    code, said = cluster.signalled(signal.SIGUSR1)
    assert (code, cluster.log()) == (0, ["minifold resume", "scontrol requeue"]), said
    code, said = cluster.job()
    assert (code, cluster.log()) == (0, ["minifold resume"]), said
    assert "training is finished" in said
    assert [path.name for path in cluster.directory.parent.iterdir()] == [cluster.directory.name]


def test_it_gives_up_after_failures_without_progress(cluster: Cluster) -> None:
    cluster.plan("end 0 1", "end 0 1", "end 0 1", "end 0 1")
    codes = [cluster.job()[0] for _ in range(3)]
    assert codes == [0, 0, 1]
    log = cluster.log()
    assert log.count("scontrol requeue") == 2
    assert log[-1] == "minifold resume"
    # Submitted again by hand, it counts anew.
    code, said = cluster.job()
    assert (code, cluster.log()[-1]) == (0, "scontrol requeue"), said


def test_a_training_that_never_begins_is_given_up_too(cluster: Cluster) -> None:
    cluster.plan(*["end -1 1"] * 3)
    assert [cluster.job()[0] for _ in range(3)] == [0, 0, 1]
    assert cluster.log().count("minifold train") == 3
    assert not cluster.directory.exists()


def test_progress_forgives_failures_and_a_stop_without_progress_is_one(cluster: Cluster) -> None:
    cluster.plan("end 5 1", "end 5 1", "wait 5 143", "end 6 1", "end 6 1", "end 6 1", "end 6 1")
    codes = [cluster.job()[0] for _ in range(2)]
    codes.append(cluster.signalled(signal.SIGUSR1)[0])
    codes += [cluster.job()[0] for _ in range(4)]
    assert codes == [0, 0, 0, 0, 0, 0, 1]


def test_a_cancelled_job_saves_and_does_not_come_back(cluster: Cluster) -> None:
    cluster.plan("wait 40 143")
    code, said = cluster.signalled(signal.SIGTERM)
    assert (code, cluster.log()) == (143, ["minifold train"]), said
    assert "cancelled" in said
    assert (cluster.directory / "state.safetensors").exists()


@pytest.mark.parametrize("code", [2, 3])
def test_what_minifold_refuses_is_not_tried_again(cluster: Cluster, code: int) -> None:
    cluster.plan(f"end -1 {code}")
    ended, said = cluster.job()
    assert (ended, cluster.log()) == (code, ["minifold train"]), said


def test_without_requeue_the_script_is_submitted_itself(cluster: Cluster) -> None:
    cluster.plan("end 5 1", "end 6 1")
    code, said = cluster.job(FAKE_scontrol="1")
    expected = ["minifold train", "scontrol requeue", f"sbatch {cluster.home / 'job.sh'}"]
    assert (code, cluster.log()) == (0, expected), said
    code, said = cluster.job(FAKE_scontrol="1", FAKE_sbatch="1")
    assert code == 1
    assert "submit it again by hand" in said


def written(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert run(["slurm", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_script_says_what_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(DEMO_PATH, "my data")
    given = ["--data", "my data", "--set", "losses.bond.weight=2", "--run-dir", "runs/a $x"]
    asked = ["--partition", "gpu,long", "--time", "2-00:00:00", "--signal", "300", "--gpus", "0"]
    lines = written(capsys, "v13", *asked, "--max-failures", "5", "--", *given)
    header = [line for line in lines if line.startswith("#SBATCH")]
    for line in ("partition=gpu,long", "time=2-00:00:00", "signal=B:USR1@300", "requeue"):
        assert f"#SBATCH --{line}" in header
    assert "#SBATCH --job-name=minifold-a__x" in header
    assert not any("gpus" in line for line in header)
    assert lines[0] == "#!/bin/bash"
    assert "max_failures=5" in lines
    (train,) = (line for line in lines if line.startswith("train="))
    words = shlex.split(train.removeprefix("train=(").removesuffix(")"))
    assert words == ["minifold", "train", "v13", *given]


def test_several_gpus_start_as_many_processes(capsys: pytest.CaptureFixture[str]) -> None:
    lines = written(capsys, "v13", "--gpus", "4", "--", "--run-dir", "runs/a")
    launcher = "torchrun --standalone --nproc-per-node 4 --no-python minifold"
    assert f"resume=({launcher} resume runs/a)" in lines
    assert f"train=({launcher} train v13 --run-dir runs/a)" in lines
    assert "#SBATCH --gpus=4" in lines


def test_a_run_without_a_name_gets_one_for_all_its_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    lines = written(capsys, "v12b", "--", "--size", "nano")
    (name,) = (line.removeprefix("run=") for line in lines if line.startswith("run="))
    assert name.startswith("runs/v12b-nano-")
    assert f"train=(minifold train v12b --size nano --run-dir {name})" in lines


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("v133", 2, "did you mean 'v13'?"),
        ("v13 -- --sise nano", 2, "--sise"),
        ("v13 -- --set training.lr=1", 2, "unknown key 'training.lr'"),
        ("v13 -- --size nanno --run-dir x", 2, "did you mean 'nano'?"),
        ("v13 -- --data gone", 2, "gone: no such file"),
        ("v13 -- --data taken", 2, "taken: not a sound packed dataset"),
        ("v13 -- --embeddings taken", 2, "nothing in v13 reads embeddings"),
        ("v13 -- --with encoder=embeddings --embeddings gone", 2, "gone"),
        ("v13 -- --init-from gone", 2, "gone does not exist"),
        ("v13 -- --allow-mismatch", 2, "--allow-mismatch goes with --init-from"),
        ("v13 -- --encoder-from v15:nano", 3, "does not fit that of v13 (full)"),
        ("v13 -- --keep all", 2, "--keep 'all'"),
        ("v13 --size nano", 2, "--size"),
        ("v13 --time 24h", 2, "--time 24h"),
        ("v13 --partition a;b", 2, "'a;b'"),
        ("v13 --max-failures 0", 2, "--max-failures"),
        ("v13 --out taken", 3, "exists"),
    ],
)
def test_wrong_requests_end_in_a_line(
    arguments: str,
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "taken").touch()
    monkeypatch.chdir(tmp_path)
    assert run(["slurm", *arguments.split()]) == code
    done = capsys.readouterr()
    assert says in done.err.splitlines()[-1]
    assert done.out == ""
