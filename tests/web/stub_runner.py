"""Stands in for cryoresplugin.project_job where only the queue is tested: it tells of its steps and takes its time.

The setting ``box`` is the time in tenths of a second; ``min_resolution`` 13 makes it fail.
"""

import json
import os
import subprocess
import sys
import time

if sys.argv[1] == "--check":
    sys.exit(0)
with open(os.path.join(sys.argv[1], "job.json"), encoding="utf-8") as file:
    order = json.load(file)
child = subprocess.Popen(["sleep", "60"])
os.makedirs(os.path.join(sys.argv[1], "projects", order["project"]))
with open(os.path.join(sys.argv[1], "child"), "w") as file:
    file.write(str(child.pid))


def tell(event, **more):
    with open(order["progress"], "a", encoding="utf-8") as file:
        file.write(json.dumps({"event": event, "t": time.time(), **more}) + "\n")


tell("plan", steps=["import", *order["methods"]])
tell("begin", step="import")
time.sleep(order["settings"].get("box", 4) / 10)
child.kill()
if order["settings"].get("min_resolution") == 13:
    tell("failed", step="import", message="thirteen brings bad luck")
    sys.exit(1)
tell("done", step="import")
