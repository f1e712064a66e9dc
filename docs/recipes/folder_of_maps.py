"""FSC and MonoRes of every pair NAME_half1.mrc, NAME_half2.mrc in a folder; one row each in a table.

python folder_of_maps.py FOLDER TABLE.csv

NAME_mask.mrc is used where there is one. A pair that cannot be analysed gets a row that says why.
"""

import csv
import sys
from pathlib import Path

from cryores import read_half_maps, read_map, resolution
from cryores.errors import CryoresError

COLUMNS = ("name", "fsc_0.143", "median", "p5", "p95", "undetermined", "error")


def row(half1):
    """Return the row of a pair, by its first half."""
    name = half1.name[: -len("_half1.mrc")]
    mask = half1.with_name(f"{name}_mask.mrc")
    try:
        halves = read_half_maps(half1, half1.with_name(f"{name}_half2.mrc"))
        region = read_map(mask) if mask.exists() else None
        overall = resolution.fsc(halves, region).summary()["resolution"]
        local = resolution.monores(halves, region).summary()
    except CryoresError as error:
        return {"name": name, "error": f"{error.code}: {error.message}"}
    numbers = {key: local.get(key) for key in ("median", "p5", "p95")}
    return {"name": name, "fsc_0.143": overall["0.143"], "undetermined": local["undetermined_fraction"], **numbers}


folder, table = Path(sys.argv[1]), Path(sys.argv[2])
with open(table, "w", newline="", encoding="utf-8") as file:
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    for half1 in sorted(folder.glob("*_half1.mrc")):
        writer.writerow(row(half1))
print(table.read_text(encoding="utf-8"), end="")
