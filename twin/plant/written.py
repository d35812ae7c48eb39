"""The tables that the plant writes, column by column."""

from typing import Final

import polars as pl

from twin.tables import Column, Table

MINUTE_S: Final = 60.0
PART_S: Final = 30.0
_END: Final = "end of the interval, seconds since the start of the run"

SITE: Final = Table(
    "site",
    "one row per tick",
    (
        Column("t_s", pl.Float64, _END),
        Column("tick_s", pl.Float64, "length of the tick"),
        Column("outside_c", pl.Float32, "outside air, dry bulb"),
        Column("wet_bulb_c", pl.Float32, "outside air, wet bulb"),
        Column("supply_c", pl.Float32, "supply air of the air handlers"),
        Column("it_power_w", pl.Float64, "power of all servers and hosts at their supplies"),
        Column("site_power_w", pl.Float64, "power at the utility meter"),
        Column("pue", pl.Float64, "site power over IT power"),
        Column("free_cooling_share", pl.Float32, "share of heat taken without the chiller"),
        Column("partial_pue", pl.Float64, "IT and cooling power over IT power"),
        Column("coolant_c", pl.Float32, "coolant of rows on cold plates; not a number without any"),
        Column("liquid_heat_w", pl.Float64, "heat that cold plates take"),
        Column("water_l_per_s", pl.Float64, "water evaporated"),
        Column("carbon_kg_per_s", pl.Float64, "emissions at the hour's grid intensity"),
        Column("cost_usd_per_h", pl.Float64, "energy at the hour's tariff"),
    ),
)
ROWS: Final = Table(
    "rows",
    "one row of the table per row of racks and tick",
    (
        Column("t_s", pl.Float64, _END),
        Column("tick_s", pl.Float64, "length of the tick"),
        Column("row_id", pl.String, "row of racks", "row"),
        Column("power_w", pl.Float64, "mean power over the tick"),
        Column("facility_power_w", pl.Float64, "power with the row's part of cooling and losses"),
        Column("budget_w", pl.Float64, "power budget in force"),
        Column("gpu_temp_max_c", pl.Float64, "hottest GPU; not a number in rows without GPUs"),
        Column("throttled_gpu_share", pl.Float32, "share of GPU time throttled by heat, by power brakes and caps, or dark"),
        Column("power_brakes", pl.Int8, "1 where the row began to brake in this tick"),
        Column("braking", pl.Boolean, "whether the power brake is on"),
    ),
)
RACKS: Final = Table(
    "racks",
    "one row per rack and half minute",
    (
        Column("t_s", pl.Float64, _END),
        Column("rack_id", pl.String, "rack", "rack"),
        Column("row_id", pl.String, "row of the rack", "row"),
        Column("inlet_c", pl.Float32, "hottest inlet"),
        Column("gpu_temp_max_c", pl.Float32, "hottest GPU; not a number in racks without GPUs"),
        Column("power_w", pl.Float32, "mean power"),
        Column("throttled_gpu_share", pl.Float32, "share of GPU time throttled"),
    ),
)
AISLES: Final = Table(
    "aisles",
    "one row per aisle and half minute",
    (
        Column("t_s", pl.Float64, _END),
        Column("aisle_id", pl.String, "aisle", "aisle"),
        Column("supply_c", pl.Float32, "supply air at the end of the interval"),
        Column("airflow_m3_per_s", pl.Float32, "most that servers and hosts drew"),
        Column("supply_m3_per_s", pl.Float32, "what the air handlers can give, at the end of the interval"),
        Column("recirculated_share", pl.Float32, "highest share of hot exhaust in what they drew"),
        Column("inlet_max_c", pl.Float32, "hottest inlet"),
    ),
)
SERVERS: Final = Table(
    "servers",
    "one row per GPU server and minute",
    (
        Column("t_s", pl.Float64, _END),
        Column("server_id", pl.String, "server", "server"),
        Column("rack_id", pl.String, "rack of the server", "rack"),
        Column("row_id", pl.String, "row of the server", "row"),
        Column("inlet_c", pl.Float32, "hottest inlet"),
        Column("inlet_sensor_c", pl.Float32, "hottest inlet as its sensor says"),
        Column("gpu_temp_max_c", pl.Float32, "hottest GPU"),
        Column("memory_temp_max_c", pl.Float32, "hottest memory (HBM) of its GPUs"),
        Column("power_w", pl.Float32, "mean power"),
        Column("airflow_share", pl.Float32, "mean airflow over the most that the fans can move"),
        Column("clock_min_share", pl.Float32, "slowest clock of its GPUs at a tick's end"),
        Column("throttled_gpu_share", pl.Float32, "share of GPU time throttled"),
        Column("thermal_throttles", pl.Int32, "GPUs that began to throttle on heat"),
    ),
)
GPUS: Final = Table(
    "gpus",
    "one row per GPU and minute",
    (
        Column("t_s", pl.Float64, _END),
        Column("gpu_id", pl.String, "GPU", "gpu"),
        Column("temp_max_c", pl.Float32, "highest temperature, to 1/32 C"),
    ),
    # A week of 1,000 servers is 81 million rows, a day of 100,000 GPUs 144 million: two bytes each on the disk.
    max_rows=200_000_000,
)
FEEDS: Final = Table(
    "feeds",
    "one row per UPS unit or PDU and half minute",
    (
        Column("t_s", pl.Float64, _END),
        Column("feed_id", pl.String, "UPS unit or PDU", "feed"),
        Column("kind", pl.String, "ups or pdu"),
        Column("power_w", pl.Float64, "highest power that it delivered"),
        Column("rated_w", pl.Float64, "rating in force at the end of the interval, 0 while it is out"),
        Column("live", pl.Boolean, "whether it delivers at the end of the interval"),
    ),
)
CAPACITY: Final = Table(
    "capacity",
    "one row per row of racks, at the start of the run",
    (
        Column("t_s", pl.Float64, "start of the run"),
        Column("row_id", pl.String, "row of racks", "row"),
        Column("servers", pl.Int32, "GPU servers that budgets, feeds and air handlers were made for"),
        Column("extra_servers", pl.Int32, "GPU servers that stand there beyond those"),
    ),
)
TABLES: Final = (SITE, ROWS, FEEDS, CAPACITY, AISLES, RACKS, SERVERS, GPUS)
