"""From the upload to the coloured surface in a browser: ``python -m benchmarks.web [SIZE]`` (100 voxels a side)."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from cryores.mapio import write_map
from cryores.simulation import simulate

CHROMIUM = "/usr/bin/chromium"
SOFTWARE_GL = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
MOST_MS = 600_000


def main(size):
    with tempfile.TemporaryDirectory() as folder:
        made = simulate(shape=(size, size, size), voxel_size=1.05, finest=3.5, coarsest=8.0, seed=2)
        for name, volume in (("half1", made.halves.half1), ("half2", made.halves.half2)):
            write_map(Path(folder, f"{name}.mrc"), volume)
        log = Path(folder, "log")
        with open(log, "w") as file:
            command = [sys.executable, "-m", "cryores", "web", "--port", "0", "--store", str(Path(folder, "store"))]
            server = subprocess.Popen(command, stderr=file)
        try:
            while not (found := re.search(r"is at (\S+)", log.read_text())):
                time.sleep(0.1)
            measure(found.group(1), folder)
        finally:
            server.terminate()
            server.wait()


def measure(address, folder):
    def tell(what, since):
        print(f"{what:<34}{time.perf_counter() - since:7.1f} s   load {os.getloadavg()[0]:.0f}", flush=True)

    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE_GL).new_page()
        begun = time.perf_counter()
        page.goto(address)
        page.wait_for_selector("#file-half1")
        tell("page", begun)
        begun = time.perf_counter()
        for name in ("half1", "half2"):
            page.set_input_files(f"#file-{name}", str(Path(folder, f"{name}.mrc")))
        page.wait_for_selector("button.main", timeout=MOST_MS)
        tell("upload to diagnosis", begun)
        page.click("button.main")
        page.wait_for_selector("[role=application] canvas", timeout=MOST_MS)
        tell("upload to coloured surface", begun)
        page.wait_for_selector(".badge[data-state=done]", timeout=MOST_MS)
        tell("upload to the end", begun)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
