import numpy as np
import pytest

from twin import fleet, fleet_file
from twin.fleet_spec import FleetSpec
from twin.serving.images import encode_s, visions
from twin.serving.latency import profiles
from twin.sources import calibration, data_dir, toml


@pytest.fixture(scope="module")
def example() -> fleet.Fleet:
    return fleet_file.load(data_dir() / "fleets" / "example.toml")


def test_the_example_fleet_is_the_one_of_the_vocabulary(example: fleet.Fleet) -> None:
    assert example.row_ids[:4] == ("row-1", "row-2", "row-3", "row-4")
    assert [example.rack_ids[0], example.rack_ids[39]] == ["rack-1", "rack-40"]
    assert len(example.server_ids) == 160
    assert len(example.gpu_ids) == 1280
    assert example.host_ids[-1] == "host-96"
    assert np.bincount(example.server_racks, minlength=46).tolist() == [4] * 40 + [0] * 6


def test_every_place_has_a_parent(example: fleet.Fleet) -> None:
    assert example.rack_ids[example.server_racks[142]] == "rack-36"
    assert example.row_ids[example.server_rows[142]] == "row-4"
    assert np.bincount(example.gpu_servers).tolist() == [8] * 160
    assert example.servers_within("row", ["row-3"]).sum() == 40
    assert example.servers_within("rack", ["rack-1", "rack-2"]).sum() == 8


def test_every_kind_of_gpu_is_known_wherever_kinds_are_listed() -> None:
    kinds = set(calibration("hardware")["server"])
    assert set(calibration("clocks")) == kinds
    kinds -= {"mi250x"}  # known by its power alone: it carries no endpoint
    assert kinds == {"h100", "a100", "h200"}
    assert set(calibration("serving")["gpu"]) == {gpu for gpu, *_ in profiles()} == kinds
    fields = [tuple(table) for table in calibration("hardware")["server"].values()]
    assert fields == fields[:1] * len(fields)
    for gpu in kinds:
        assert all(encode_s(vision, gpu, 1)[1] > 0 for vision in visions().values())
        assert {"prefill_scale", "decode_scale"} <= set(calibration("serving")["precision"]["fp8"][gpu])


def test_ranges_of_ids_expand() -> None:
    assert fleet.expand(["rack-9..rack-11", "rack-1"]) == ["rack-9", "rack-10", "rack-11", "rack-1"]
    assert fleet.expand(["server-3..5"]) == ["server-3", "server-4", "server-5"]


def test_an_unknown_aisle_or_model_is_one_line() -> None:
    row = dict(
        id="row-1",
        kind="gpu",
        aisle="a",
        racks=1,
        first_rack="rack-1",
        per_rack=1,
        first_server="server-1",
        model="h100",
        power_budget_w=1e5,
    )
    good = {"name": "t", "site_power_budget_w": 1e6, "aisle": [{"id": "a"}], "row": [row]}
    assert fleet_file.build(FleetSpec.model_validate(good)).server_ids == ("server-1",)
    for change, word in (({"aisle": "b"}, "aisle 'b' is unknown"), ({"model": "h900"}, "model 'h900' is unknown")):
        with pytest.raises(ValueError, match=word):
            fleet_file.build(FleetSpec.model_validate({**good, "row": [{**row, **change}]}))


def test_two_places_of_one_name_are_refused() -> None:
    spec = FleetSpec.model_validate(toml(data_dir() / "fleets" / "tiny.toml"))
    twice = spec.model_copy(update={"row": (spec.row[0], spec.row[1].model_copy(update={"first_server": spec.row[0].first_server}))})
    with pytest.raises(ValueError, match="'server-1' is there twice"):
        fleet_file.build(twice)


def test_a_ups_and_a_pdu_cannot_share_a_name() -> None:
    row = {"id": "row-1", "kind": "gpu", "aisle": "a", "racks": 1, "first_rack": "rack-1", "per_rack": 1, "first_server": "server-1"}
    spec = {
        "name": "twice",
        "site_power_budget_w": 1e4,
        "aisle": [{"id": "a"}],
        "row": [{**row, "model": "h100", "power_budget_w": 1e4, "pdus": ["feed-1"]}],
        "ups": [{"id": "feed-1", "rated_w": 1e4}],
        "pdu": [{"id": "feed-1", "rated_w": 1e4}],
    }
    with pytest.raises(ValueError, match="'feed-1' is there twice"):
        fleet_file.build(FleetSpec.model_validate(spec))


def test_ids_keep_the_zeros_that_a_site_writes_them_with() -> None:
    assert fleet.expand(["gpu08..gpu11", "GPU_1..2", "n-099..101"]) == [
        "gpu08",
        "gpu09",
        "gpu10",
        "gpu11",
        "GPU_1",
        "GPU_2",
        "n-099",
        "n-100",
        "n-101",
    ]
    raw = toml(data_dir() / "fleets" / "tiny.toml")
    raw["row"][0] |= {"first_server": "gpu08", "first_rack": "k09"}
    raw["row"][1] |= {"first_server": "gpu10", "first_rack": "k11"}
    raw["row"][2] |= {"first_server": "gpu12", "first_rack": "k13"}
    site = fleet_file.build(FleetSpec.model_validate(raw))
    assert (site.server_ids, site.host_ids) == (("gpu08", "gpu09", "gpu10", "gpu11"), ("gpu12", "gpu13"))
    assert site.rack_ids == ("k09", "k10", "k11", "k12", "k13")
    # What is added to such a site goes on behind its hosts, which are numbered along.
    larger = fleet.grown(site, (1, 0, 0))
    assert larger.server_ids[-1] == "gpu14"
    raw["row"][0]["first_server"], raw["row"][1]["first_server"], raw["row"][2]["first_server"] = "s001", "s003", "host-1"
    assert fleet.grown(fleet_file.build(FleetSpec.model_validate(raw)), (1, 0, 0)).server_ids[-1] == "s005"
