"""`logs -f` through requeues: new attempts, new jobs, and what an old attempt says late."""

from __future__ import annotations

import pytest

from leanfleet import cli
from leanfleet.commands._following import Following, job_logs


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "slurm").mkdir()

    def write(name: str, text: str) -> None:
        with open(tmp_path / name, "a") as file:
            file.write(text)

    write.folder = tmp_path
    return write


def following(logs, name: str | None = None) -> Following:
    return Following(logs.folder, logs.folder / "slurm", name)


def test_only_what_is_new_is_told_and_whole_lines(logs):
    logs("hub.0.0.log", "old\nhalf")
    seen = following(logs)
    assert seen.look() == []
    logs("hub.0.0.log", " a line\nnew\nsome")
    assert seen.look() == [("hub.0", " a line"), ("hub.0", "new")]  # read from where it began
    logs("hub.0.0.log", "thing\n\x1b[2Kbad\n\n")
    assert seen.look() == [("hub.0", "something"), ("hub.0", "bad")]
    assert seen.look() == []


def test_a_requeue_goes_on_in_a_new_attempt_and_the_old_one_s_last_words_are_told(logs):
    logs("prover.1.0.log", "games running\n")
    seen = following(logs, "prover.1")
    logs("prover.1.0.log", "stopping\n")
    logs("prover.1.1.log", "begins\n")
    logs("prover.2.0.log", "another\n")
    assert seen.look() == [("prover.1", "stopping"), ("prover.1", "begins")]
    logs("prover.1.0.log", "handed back\n")  # a shared disk shows it late
    assert seen.look() == [("prover.1", "handed back")]


def test_attempts_that_come_and_go_between_two_looks_are_all_told(logs):
    logs("hub.0.0.log", "")
    seen = following(logs)
    for attempt in (1, 2, 3):
        logs(f"hub.0.{attempt}.log", f"attempt {attempt}\n")
    assert [line for _, line in seen.look()] == ["attempt 1", "attempt 2", "attempt 3"]


def test_what_jobs_say_themselves(logs):
    logs("slurm/prover.17_1.out", "before\n")
    logs("slurm/submitted.txt", "no log")
    seen = following(logs, "prover.1")
    logs("slurm/prover.17_1.out", "queued again\n")
    logs("slurm/prover.17_2.out", "of another\n")
    logs("slurm/prover.21_1.out", "a follower\n")
    assert seen.look() == [
        ("prover.1, job 17_1", "queued again"),
        ("prover.1, job 21_1", "a follower"),
    ]
    assert [log.job for log in job_logs(logs.folder / "slurm", "prover")] == [
        "17_1",
        "17_2",
        "21_1",
    ]
    assert [log.task for log in job_logs(logs.folder / "slurm", None)][0] == "prover.1"


def test_a_file_that_begins_anew_and_one_that_is_gone(logs):
    logs("slurm/hub.5.out", "first time, a long line\n")
    seen = following(logs)
    (logs.folder / "slurm" / "hub.5.out").write_text("again\n")
    assert seen.look() == [("hub.0, job 5", "again")]
    (logs.folder / "slurm" / "hub.5.out").unlink()
    assert seen.look() == []


def test_thousands_of_files_need_no_open_ones(logs):
    import resource

    for number in range(300):
        logs(f"prover.{number}.0.log", "")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))
    try:
        seen = following(logs)
        for number in range(300):
            logs(f"prover.{number}.0.log", "line\n")
        assert len(seen.look()) == 300
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_job_whose_role_never_began_is_shown(tmp_path, capsys):
    from hpc import run_folder

    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    run_folder.keep(folder, run_folder.Contents("tried", "name: tried\n"))
    (folder / "logs" / "slurm").mkdir(parents=True)
    (folder / "logs" / "slurm" / "hub.5.out").write_text("python: not found\n")
    (folder / "logs" / "slurm" / "lean.6_0.out").write_text("a note\n")
    (folder / "logs" / "lean.0.0.log").write_text("ready\n")
    assert cli.main(["logs", str(folder)]) == 0
    said = capsys.readouterr().out
    assert (
        "==> hub.5.out <==\npython: not found" in said and "ready" in said and "a note" not in said
    )
    assert cli.main(["logs", str(folder), "cook"]) == 2
