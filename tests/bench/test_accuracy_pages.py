"""The tables of docs/accuracy.md: figures to reach, who is ahead, peers at equal minutes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench.accuracy import __main__ as command
from bench.accuracy.figures import FIGURES, NO_GPU, NOT_YET, figures
from bench.accuracy.measures import MEASURES, better, heading, shown, spread
from bench.accuracy.peers import PEERS
from bench.accuracy.record import Record, read, write
from bench.accuracy.table import FIGURES as FIGURE_MARKS
from bench.accuracy.table import PEER_TABLES, ahead, contests_of, table, tables, with_tables

from unseam.workflow.reproduction.protocols import protocol

ONE = Record(
    "smp", "nuclei", 10, 0, "a machine", 2, 0.01, {"ap50": 0.7, "ap": 0.4}, (600.0,), ({"steps": 9},)
)


def test_the_table_has_the_best_first_means_with_spread_and_why_one_is_missing() -> None:
    ours = [
        replace(ONE, peer="unseam", seed=k, scores={"ap50": a, "ap": 0.5}) for k, a in enumerate((0.8, 0.9))
    ]
    none = replace(ONE, peer="stardist", scores={}, seconds=(), said=(), failure="could not be installed: no")
    lines = table([none, ONE, *ours]).splitlines()
    assert lines[0] == "### dsb2018, 70 images to train, 30 to test, 10 minutes"
    body = [line for line in lines if line.startswith("| ")][1:]
    assert body[0].startswith("| unseam, default preset | **0.850 ± 0.071** | **0.500 ± 0.000** |")
    assert body[1].startswith("| segmentation_models.pytorch Unet | 0.700 | 0.400 |  |  |  | 0 | 600 |")
    assert "9 steps" in body[1]
    assert "`bench/accuracy/run.sh smp nuclei 10 0`" in body[1]
    assert body[2].startswith("| StarDist | could not be installed: no |")
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert "busy" not in lines[-1]
    assert "**Other work** kept up to 0.30 processors busy" in table([replace(ONE, load=0.3)])


@pytest.mark.parametrize(
    ("values", "text"),
    [([0.5], "0.500"), ([0.0002, 0.0004], "0.000300 ± 0.000141"), ([0.0, 0.0], "0.000 ± 0.000")],
)
def test_spread(values: list[float], text: str) -> None:
    assert spread(values) == text


def test_of_errors_less_is_better_and_the_best_of_a_column_is_bold() -> None:
    assert better("ap50", 0.7, 0.6) and better("isbi_rand_error", 0.1, 0.2)
    assert not better("ap50", 0.6, 0.6)
    assert heading("isbi_split_merge_error") == "warping error (less is better)"
    one = replace(ONE, dataset="isbi2012", scores={"isbi_v_rand_thinned": 0.9, "isbi_rand_error": 0.2})
    other = replace(one, peer="monai", scores={"isbi_v_rand_thinned": 0.8, "isbi_rand_error": 0.1})
    text = table([one, other])
    assert "| **0.900** | 0.200 |" in text and "| 0.800 | **0.100** |" in text
    assert "**" not in table([one])  # nothing to be best of


def test_whoever_is_ahead_is_named_measure_by_measure() -> None:
    ours = replace(ONE, peer="unseam", scores={"ap50": 0.8, "ap": 0.3})
    both = [ours, replace(ours, seed=1, scores={"ap50": 0.6, "ap": 0.3})]
    said = ahead([[*both, ONE]])  # 0.7 is no more than the mean of 0.8 and 0.6; 0.4 is more than 0.3
    lines = [line for line in said.splitlines() if line.startswith("| nuclei")]
    row = "| nuclei, 10 minutes | ap | segmentation_models.pytorch Unet | 0.400 | 0.300 ± 0.000 |"
    assert lines == [row]
    paper = replace(ONE, peer="unseam-paper", scores={"ap50": 1.0})
    assert "In no measure" in ahead([[ours, paper, replace(ONE, scores={"ap50": 0.8, "ap": None})]])
    missing = ahead([[ONE]])
    assert "Ours has no result yet, so nothing is said of: nuclei, 10 minutes" in missing
    assert "In no measure" not in missing
    errors = {"isbi_rand_error": 0.1}
    membranes = [replace(ours, dataset="isbi2012", scores=errors)]
    membranes.append(replace(membranes[0], peer="smp", scores={"isbi_rand_error": 0.05}))
    assert "| 0.050 | 0.100 |" in ahead([membranes])


def test_gpu_and_cpu_never_stand_in_one_table(tmp_path: Path) -> None:
    gpu = replace(ONE, peer="unseam", device="NVIDIA H100 80GB HBM3")
    assert write(gpu, tmp_path).name == "unseam-nuclei-10-0-nvidia-h100-80gb-hbm3.json"
    assert read(tmp_path / f"{gpu.name()}.json") == gpu
    other = replace(gpu, device="Tesla T4")
    assert contests_of([gpu, other, ONE]) == [[ONE], [gpu], [other]]
    text = tables([gpu, other, ONE])
    assert "to test, 10 minutes\n" in text and "10 minutes on Tesla T4\n" in text
    assert "`bench/accuracy/run.sh unseam nuclei 10 0 --device cuda --threads 2`" in text
    assert tables([]) == "Not measured yet.\n"


def test_figures_are_reached_missed_or_not_measured_yet() -> None:
    def of(dataset: str, minutes: float, *values: float, measure: str, **more: Any) -> list[Record]:
        base = replace(ONE, peer="unseam", dataset=dataset, minutes=minutes, **more)
        return [replace(base, seed=seed, scores={measure: value}) for seed, value in enumerate(values)]

    records = [
        *of("nuclei", 10, 0.84, 0.86, measure="ap50"),
        *of("nuclei", 60, 0.87, measure="ap50"),
        *of("nuclei", 10, 0.91, measure="ap50", device="Tesla T4"),
        *of("isbi2012", 60, 0.1, measure="isbi_rand_error"),
        *of("isbi2012", 60, 0.0004, measure="isbi_split_merge_error"),
        *of("nuclei", 5, 0.99, measure="ap50"),
    ]
    records += [replace(of("nuclei", 10, 0.8, measure="ap50", device="Tesla T4")[0], peer="unseam-paper")]
    lines = figures(records).splitlines()
    rows = {tuple(cell.strip() for cell in line.split("|")[1:4]): line for line in lines if line[0:1] == "|"}
    ap50 = rows["nuclei", "ap50", "10"]
    assert "| 0.84 | **0.850 ± 0.014 (2 seeds)** | 0.9 |" in ap50
    assert "| default: **0.910 (1 seed)**; paper: 0.800 (1 seed), missed |" in ap50
    assert "`unseam reproduce nuclei --minutes 10 --seeds 0 1 2`" in ap50
    assert "| 0.88 | 0.870 (1 seed), missed |  |  |" in rows["nuclei", "ap50", "60"]
    rand = rows["isbi2012", "rand error (less is better)", "60"]
    assert (
        f"| 0.09 | 0.100 (1 seed), missed | 0.0382 | {NOT_YET} |" in rand
    )  # a GPU is at hand, as another row shows
    warping = rows["isbi2012", "warping error (less is better)", "60"]
    assert "| to be told | 0.000400 (1 seed) | 0.000353 |" in warping
    assert f"| 0.6 | {NOT_YET} | 0.7756 | {NOT_YET} |" in rows["hela", "seg", "60"]
    assert f"| 0.7756 | {NO_GPU} |" in figures([r for r in records if r.device == "cpu"])
    assert len({line.count("|") for line in rows.values()}) == 1
    assert "Tesla T4, in a machine" in lines[-1]
    broken = replace(records[0], scores={}, failure="ended with code 1: no memory")
    assert "failed: ended with code 1: no memory" in figures([broken])


def test_the_figures_to_reach_are_of_measures_that_are_shown() -> None:
    for one in FIGURES:
        assert one.measure in MEASURES[one.dataset]


PAGE = "before\n{}\nstale\n{}\nbetween\n{}\nstale\n{}\nafter\n".format(*FIGURE_MARKS, *PEER_TABLES)


def test_the_tables_are_written_between_the_marks_and_nowhere_else() -> None:
    once = with_tables(PAGE, [ONE])
    assert once.startswith(f"before\n{FIGURE_MARKS[0]}\n")
    assert f"{FIGURE_MARKS[1]}\nbetween\n{PEER_TABLES[0]}\n" in once
    assert once.endswith(f"{PEER_TABLES[1]}\nafter\n")
    assert "stale" not in once
    assert with_tables(once, [ONE]) == once
    with pytest.raises(ValueError, match="the page should have the lines"):
        with_tables("nothing", [ONE])
    with_tables(command.PAGE.read_text(encoding="utf-8"), [])  # the page itself has them


def test_every_shown_measure_is_one_that_the_scorer_or_the_protocol_knows() -> None:
    scores = dict.fromkeys(["ap50", "ap", "seg", "dice", "v_rand"], 0.5)
    assert shown(replace(ONE, scores={**scores, "merges": 3})) == scores
    for peer in PEERS.values():
        for name in peer.datasets:
            assert protocol(name)


def test_table_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "accuracy.md"
    page.write_text(PAGE, encoding="utf-8")
    write(ONE, tmp_path)
    assert command.main(["table", "--results", str(tmp_path), "--page", str(page)]) == 0
    assert "segmentation_models.pytorch" in page.read_text(encoding="utf-8")
    assert str(page) in capsys.readouterr().out
