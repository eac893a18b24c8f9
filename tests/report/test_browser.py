"""The report as a real browser sees it: no complaint, no request, every figure painted."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latflow.report.names import SAMPLERS

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), "")

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on the path: the report was not opened in a browser")


def browse(address: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Load a local page in a fresh headless browser that cannot resolve any host."""
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={folder / 'network.json'}",
        *options,
        address.as_uri(),
    ]
    environment = {**os.environ, "HOME": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=True, env=environment)


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def requested(folder: Path) -> set[str]:
    """Addresses on other machines that a page asked for; what the browser asks by itself has no page as initiator."""
    log = json.loads((folder / "network.json").read_text())
    started = [event["params"] for event in log["events"] if "initiator" in event.get("params", {})]
    by_page = {params["url"] for params in started if params["initiator"] != "not an origin"}
    return {url for url in by_page if not url.startswith(("file:", "data:"))}


def test_no_complaint_no_request_and_the_whole_page_is_there(full_report: Path, tmp_path: Path) -> None:
    done = browse(full_report, tmp_path, "--dump-dom")
    assert complaints(done) == []
    assert requested(tmp_path) == set()
    assert done.stdout.count("<img ") == 11
    assert "Bibliography" in done.stdout
    assert done.stdout.rstrip().endswith("</html>")


def test_the_watch_sees_a_page_that_does_complain_and_ask(full_report: Path, tmp_path: Path) -> None:
    """A remote picture is blocked by the policy and complained of; without the policy it is asked for."""
    text = full_report.read_text(encoding="utf-8").replace("</main>", '<img src="http://example.invalid/a.png"></main>')
    page = tmp_path / "page.html"
    page.write_text(text, encoding="utf-8")
    assert complaints(browse(page, tmp_path, "--dump-dom"))
    page.write_text(text.replace("Content-Security-Policy", "Nothing"), encoding="utf-8")
    browse(page, tmp_path, "--dump-dom")
    assert requested(tmp_path) == {"http://example.invalid/a.png"}


@pytest.mark.parametrize(("width", "height"), [(400, 9500), (1280, 5000)])
def test_every_figure_is_painted_within_the_page(full_report: Path, tmp_path: Path, width: int, height: int) -> None:
    """Pixels of every sampler's colour, and none beyond the right margin: nothing overflows."""
    picture = tmp_path / "page.png"
    browse(full_report, tmp_path, f"--window-size={width},{height}", f"--screenshot={picture}")
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    assert pixels.shape[1] == width
    for sampler in ("flow", "reweighted", "hmc", "local"):
        colour = [int(SAMPLERS[sampler].colour[i : i + 2], 16) for i in (1, 3, 5)]
        count = int((np.abs(pixels - colour).max(axis=-1) <= 6).sum())
        assert count > 500, (sampler, count)
    assert (pixels[:, -10:] == pixels[0, -1]).all()
