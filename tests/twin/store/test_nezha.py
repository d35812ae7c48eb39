"""Nezha's public layout: what is read of it, and how the method fares on one day."""

import json
from pathlib import Path

import numpy as np
import pytest

from twin.incidents.scoring import evaluate
from twin.store import nezha

HEAD = "Time,TimeStamp,PodName,CpuUsage(m),PodServerLatencyP90(s),NodeCpuUsageRate(%)\n"


def write(folder: Path) -> Path:
    """Write a day of two pods with one fault; the first pod's epoch column is wrong, as it is in the data set."""
    day = folder / "2022-08-22"
    (day / "metric").mkdir(parents=True)
    for pod, slow in (("frontend-579b9bff58-t2dbm", 0.0), ("cartservice-579f59597d-wc2lz", 1.0)):
        epoch = 1861139580 if slow else 1661139580
        rows = [
            f"2022-08-22 03:{m:02d}:19.6 +0000 UTC m=+0.1,{epoch + 60 * m},{pod},{5 + 40 * slow * (m >= 40)},{0.1 + m % 3 / 100},1"
            for m in range(60)
        ]
        (day / "metric" / f"{pod}_metric.csv").write_text(HEAD + "\n".join(rows) + "\n")
    (day / "metric" / "dependency.csv").write_text("Source,Target,Weight\nfrontend,cartservice,1\ncartservice,33.33.33.76,1\n")
    edges = "".join(f"2022-08-22 03:{m:02d}:20.1 +0000 UTC,1,{0.005 + 0.1 * (m == 40)}\n" for m in range(60))
    (day / "metric" / "source_50.csv").write_text("time,timestamp,frontend_cartservice\n" + edges)
    (day / "metric" / "destination_50.csv").write_text("time,timestamp,frontend_cartservice\n2022-08-22 03:40:20 +0000 UTC,1,0.004\n")
    fault = {"inject_time": "2022-08-22 03:39:54", "inject_pod": "cartservice-579f59597d-wc2lz", "inject_type": "cpu_contention"}
    (day / "2022-08-22-fault_list.json").write_text(json.dumps({"03": [fault]}))
    return folder


def test_time_strings_count_and_epochs_do_not(tmp_path: Path) -> None:
    (case,) = nezha.read(write(tmp_path))
    assert case.onset_s == 1661139594.0
    assert case.truth == "cartservice"
    assert case.series.entity_ids == ("cartservice", "frontend")
    assert not {"NodeCpuUsageRate(%)"} & set(case.series.metrics)
    cpu = case.series.values[:, case.series.column("cartservice", "CpuUsage(m)")]
    assert np.isfinite(cpu).all()
    assert case.series.t_s[cpu > 40.0][0] == case.onset_s + 6.0
    assert evaluate([case])["ac_at_1"] == 1.0


def test_time_on_the_way_is_what_the_caller_saw_less_what_the_callee_saw(tmp_path: Path) -> None:
    (case,) = nezha.read(write(tmp_path))
    gap = case.series.values[:, case.series.column("frontend", "edge_gap_s")]
    assert gap[np.isfinite(gap)] == pytest.approx([0.101])


def test_machines_are_no_services(tmp_path: Path) -> None:
    (case,) = nezha.read(write(tmp_path))
    assert case.graph.ids == ("cartservice", "frontend")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("2022-08-22-fault_list.json", '{"03": [{"inject_pod": "x"}]}', "it needs inject_time"),
        ("metric/frontend-579b9bff58-t2dbm_metric.csv", "a,b\n1,2\n", "no column Time"),
        ("metric/dependency.csv", "From,To\na,b\n", "no column Source"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(tmp_path: Path, name: str, text: str, said: str) -> None:
    (write(tmp_path) / "2022-08-22" / name).write_text(text)
    with pytest.raises(ValueError, match=said) as found:
        nezha.read(tmp_path)
    assert "\n" not in str(found.value)


def test_a_folder_without_days_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no day of Nezha"):
        nezha.read(tmp_path)


def test_a_day_of_online_boutique_is_mostly_solved(test_data: Path) -> None:
    """Measured AC@1 0.75, AC@3 0.88 of 24, with the onset known as with it detected (0.75, 0.96)."""
    cases = nezha.read(test_data / "incidents" / "nezha")
    assert len(cases) == 24
    known = evaluate(cases)
    assert known["ac_at_1"] >= 0.6
    assert known["ac_at_3"] >= 0.75
    assert evaluate(cases, onset_known=False)["ac_at_3"] >= 0.75
