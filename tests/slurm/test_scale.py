"""`leanfleet scale`: asked for and shown with a pretended Slurm; more and fewer on the real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_run_on_slurm import Runs, runs, status  # noqa: F401 (a fixture)

from leanfleet import cli
from leanfleet.config import ConfigError, Site
from leanfleet.roles import scaling, sites

SITE = Site(name="far", launcher="slurm")


# --- numbers ----------------------------------------------------------------------------------------


def test_numbers_are_read():
    assert scaling.read(["prover=40", "lean=4"]) == {"prover": 40, "lean": 4}


@pytest.mark.parametrize(
    "words, said",
    [
        (["prover"], "expected ROLE=NUMBER"),
        (["prover=0"], "whole number from 1 on .* leanfleet cancel RUN prover"),
        (["prover=-3"], "whole number"),
        (["prover=4.5"], "whole number"),
        (["prover=²"], "whole number"),
        (["prover=many"], "whole number"),
        (["prover=2", "prover=3"], "given twice"),
        (["hub=2"], "a run has one hub: only prover"),
        (["learner=2"], "a run has one learner"),
        (["provers=2"], "did you mean prover"),
        (["cook=2"], "no role .cook.: prover.* can be scaled"),
    ],
)
def test_nonsense(words, said):
    with pytest.raises(ValueError, match=said):
        scaling.read(words)


def test_a_site_keeps_all_else():
    site = SITE.model_copy(update={"mpi": "pmix", "setup": ("module load x",)})
    new = scaling.scaled(site, {"prover": 40, "lean": 3})
    assert (new.roles.prover.worlds, new.roles.lean.servers) == (40, 3)
    assert scaling.scaled(new, {"prover": 1, "lean": 1}) == scaling.scaled(
        site, {"prover": 1, "lean": 1}
    )
    assert (new.mpi, new.setup) == ("pmix", ("module load x",))
    with pytest.raises(ConfigError, match="roles.prover.worlds: .* 100000"):
        scaling.scaled(site, {"prover": 200_000_000})


# --- with a pretended Slurm -------------------------------------------------------------------------

SQUEUE = """
case "$(cat $HOME_OF_TEST/living 2>/dev/null)" in
  '') ;;
  *) while read -r id; do echo "$id|RUNNING|n1|1:00|None"; done < $HOME_OF_TEST/living ;;
esac
"""


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """A run whose Slurm only pretends: `living` has the ids that run, `calls` what was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("HOME_OF_TEST", str(tmp_path))
    sbatch = 'case "$1" in --*) ;; *) echo "Submitted batch job $((100 + RANDOM))" ;; esac'
    programs = {"squeue": SQUEUE, "sbatch": sbatch, "scancel": "rm -f $HOME_OF_TEST/living"}
    for name, bash in programs.items():
        path = folder / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> $HOME_OF_TEST/calls\n{bash}\n')
        path.chmod(0o755)

    class Cluster:
        @staticmethod
        def next_id() -> int:
            return 0

    made = Runs(tmp_path, Cluster())
    made.site()
    return made


def ids_of(one: Runs) -> dict[str, dict]:
    from hpc.slurm import told

    return {each.role: each for each in told.submitted(one.folder)}


def calls(one: Runs, program: str) -> list[str]:
    lines = (one.home / "calls").read_text().splitlines()
    return [line for line in lines if line.startswith(program + " ")]


def begin(one: Runs) -> None:
    """Launched, and all runs."""
    assert one.launch() == 0
    ids = [each.id_of(task) for each in ids_of(one).values() for task in each.tasks]
    (one.home / "living").write_text("".join(f"{id}\n" for id in ids))
    (one.home / "calls").unlink()


def scale(one: Runs, *words: str) -> int:
    return cli.main(["scale", str(one.folder), *words])


@pytest.mark.needs("registry_lean")
def test_only_what_is_missing_is_submitted_and_the_number_is_kept(pretended, capsys):
    begin(pretended)
    capsys.readouterr()
    assert scale(pretended, "prover=5", "lean=2") == 0
    said = capsys.readouterr().out
    assert "prover: job " in said and "[2-4]" in said and "lean: job " in said and "[1]" in said
    submitted = [line for line in calls(pretended, "sbatch") if "--test-only" not in line]
    assert len(submitted) == 2 and len(calls(pretended, "scancel")) == 0
    site = sites.kept(pretended.folder)
    assert (site.roles.prover.worlds, site.roles.lean.servers) == (5, 2)
    assert "--array=0-4" in (pretended.folder / "sbatch" / "prover.sh").read_text()
    rows = status(pretended, capsys)
    assert "prover.4" in rows and "lean.1" in rows


@pytest.mark.needs("registry_lean")
def test_a_dry_run_shows_hours_and_does_nothing(pretended, capsys):
    begin(pretended)
    before = (pretended.folder / sites.FILE).read_bytes()
    capsys.readouterr()
    assert scale(pretended, "prover=6", "--dry-run") == 0
    said = capsys.readouterr().out
    assert (
        "#SBATCH --array=2-5" in said
        and "before: prover 2, lean 1" in said
        and "then: prover 6" in said
    )
    assert "1 submissions, 4 jobs" in said and "0.7 cpu-hours" in said  # 4 elements, 10 minutes
    assert scale(pretended, "prover=1", "--dry-run", "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert row["ends"] == ["prover.1"] and row["jobs"] == []
    assert (pretended.folder / sites.FILE).read_bytes() == before
    assert calls(pretended, "sbatch") == [] and calls(pretended, "scancel") == []


@pytest.mark.needs("registry_lean")
def test_those_with_the_highest_numbers_are_asked_to_end(pretended, capsys):
    begin(pretended)
    (pretended.home / "bin" / "scancel").write_text(
        '#!/bin/bash\necho "scancel $*" >> $HOME_OF_TEST/calls\n'
    )  # who runs needs a while
    assert scale(pretended, "prover=1", "--no-wait") == 0
    assert "asked to end: prover 1" in capsys.readouterr().out
    (taken,) = calls(pretended, "scancel")
    assert "--state=PENDING" in taken and taken.endswith(f" {ids_of(pretended)['prover'].job}_1")
    assert {path.name for path in (pretended.folder / "cancel").iterdir()} == {"prover.1"}
    assert "prover.1" in status(pretended, capsys)  # until it has ended
    assert scale(pretended, "prover=2") == 0
    assert "note: prover 1 still end" in capsys.readouterr().err
    assert calls(pretended, "sbatch") == []


@pytest.mark.needs("registry_lean")
def test_what_slurm_refuses_leaves_the_number_as_it_was(pretended, capsys):
    begin(pretended)
    (Path(pretended.home) / "bin" / "sbatch").write_text(
        "#!/bin/bash\necho 'sbatch: error: Invalid job array specification' >&2; exit 1\n"
    )
    assert scale(pretended, "prover=5000") == 2
    assert "Invalid job array specification" in capsys.readouterr().err
    assert sites.kept(pretended.folder).roles.prover.worlds is None


@pytest.mark.needs("registry_lean")
def test_a_run_that_is_stopped_keeps_the_number_for_resume(pretended, capsys):
    begin(pretended)
    (pretended.home / "living").unlink()
    assert scale(pretended, "prover=3") == 0
    assert "leanfleet resume" in capsys.readouterr().out
    assert calls(pretended, "sbatch") == []
    assert cli.main(["resume", str(pretended.folder)]) == 0
    assert "[0-2]" in capsys.readouterr().out
    (pretended.folder / "over.json").write_text('{"reason": "enough"}')
    assert scale(pretended, "prover=4") == 2
    assert "is over: enough" in capsys.readouterr().err


def test_a_run_on_one_machine_says_how(tmp_path, capsys):
    from hpc import run_folder

    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    run_folder.keep(folder, run_folder.Contents("tried", "name: tried\n"))
    assert cli.main(["scale", str(folder), "prover=4"]) == 2
    assert "runs on one machine" in capsys.readouterr().err
    assert cli.main(["scale", str(tmp_path / "none"), "prover=4"]) == 2


# --- on the real one --------------------------------------------------------------------------------


@pytest.mark.needs("slurm", "registry_lean")
@pytest.mark.timeout(300)
def test_two_elements_become_four_and_then_one(request, capsys):
    tried = request.getfixturevalue("runs")
    assert tried.launch() == 0
    tried.wait(lambda: tried.begins() == 6)
    assert scale(tried, "prover=4") == 0
    assert "[2-3]" in capsys.readouterr().out
    tried.wait(lambda: tried.begins() == 8)
    rows = status(tried, capsys)
    assert {row["slurm"] for row in rows.values()} == {"RUNNING"} and "prover.3" in rows

    assert scale(tried, "prover=1") == 0
    assert "ended: prover 1-3" in capsys.readouterr().out
    assert {f"prover.{n} SIGTERM" for n in (1, 2, 3)} <= set(tried.notes)  # handed back, not killed
    rows = status(tried, capsys)
    assert [name for name in rows if name.startswith("prover")] == ["prover.0"]
    assert scale(tried, "prover=1") == 0
    assert "nothing to do" in capsys.readouterr().out

    assert scale(tried, "prover=2") == 0  # one that was asked to end comes back
    tried.wait(lambda: tried.begins() == 9)
    tried.end()
    tried.wait(lambda: "lean.0 SIGTERM" in tried.notes)
    ends = [line for line in tried.notes if "begins" not in line]
    assert ends.index("hub.0 SIGTERM") > ends.index("prover.1 exits 0")  # the hub knows of it
