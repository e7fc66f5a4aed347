"""The server's page in a real browser: Chromium or Chrome, driven by Selenium; skipped where either is missing."""

import shutil
import time

import numpy as np
import pytest

from c2m_tf import Upscaler
from c2m_tf.photos import images

webdriver = pytest.importorskip("selenium.webdriver")
pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium or chromedriver is not installed")

from serving import Held, Running  # noqa: E402

from c2m_tf.server.limits import Limits  # noqa: E402

# Containers often have a small /dev/shm, which Chromium's pages need more of.
OPTIONS = (
    "--headless --no-sandbox --disable-dev-shm-usage --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-sync"
)


LIMITS = Limits(max_bytes=2**20, max_lr_pixels=2000, max_ref_pixels=200 * 200, queue=2, timeout=60.0)


@pytest.fixture(scope="module")
def address(tiny):
    running = Running(Upscaler(tiny), LIMITS)
    yield f"http://127.0.0.1:{running.port}"
    running.stop()


@pytest.fixture
def held(tiny):
    """An upscaler whose photos take until `free` is set, and the address of its server."""
    upscaler = Held(tiny)
    running = Running(upscaler, LIMITS)
    upscaler.address = f"http://127.0.0.1:{running.port}"
    yield upscaler
    upscaler.free.set()
    running.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in [*OPTIONS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(option)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def element(browser, selector):
    return browser.find_element("css selector", selector)


def choose(browser, name, path):
    element(browser, f"#{name} input").send_keys(str(path))


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_photos_become_one_beside_a_slider(browser, address, tmp_path, rng):
    images.write(tmp_path / "lr.png", rng.random((16, 20, 3)))
    images.write(tmp_path / "ref.png", rng.random((60, 80, 3)))
    browser.get(address)
    button = element(browser, "button")
    assert not button.is_enabled()
    choose(browser, "lr", tmp_path / "lr.png")
    choose(browser, "ref", tmp_path / "ref.png")
    wait_for(button.is_enabled)
    button.click()
    wait_for(lambda: element(browser, "#status").text == "done")
    assert element(browser, "#size").text.split()[::2] == ["80", "64"]
    assert element(browser, "#result a").get_attribute("download") == "lr-upscaled.png"
    browser.execute_script(
        "const s = document.querySelector('compare-slider').shadowRoot.querySelector('input');"
        "s.value = 20; s.dispatchEvent(new Event('input'))"
    )
    assert element(browser, "compare-slider").get_attribute("style") == "--at: 20%;"


def test_a_photo_without_a_reference_is_upscaled_too(browser, address, tmp_path, rng):
    images.write(tmp_path / "alone.png", rng.random((16, 20, 3)))
    browser.get(address)
    choose(browser, "lr", tmp_path / "alone.png")
    wait_for(element(browser, "button").is_enabled)
    element(browser, "button").click()
    wait_for(lambda: element(browser, "#status").text == "done")
    assert element(browser, "#result a").get_attribute("download") == "alone-upscaled.png"


def test_refusals_are_shown_on_the_page(browser, address, tmp_path):
    images.write(tmp_path / "large.png", np.zeros((60, 60, 3), np.uint8))
    browser.get(address)
    choose(browser, "lr", tmp_path / "large.png")
    choose(browser, "ref", tmp_path / "large.png")
    wait_for(element(browser, "button").is_enabled)
    element(browser, "button").click()
    status = element(browser, "#status")
    wait_for(lambda: "wrong" in status.get_attribute("class"))
    assert "lr has 60x60 pixels, more than the limit of 2,000" in status.text


def test_a_result_is_offered_under_the_name_of_its_own_photo(browser, address, tmp_path, rng, held):
    images.write(tmp_path / "first.png", rng.random((16, 20, 3)))
    images.write(tmp_path / "second.png", rng.random((30, 10, 3)))
    browser.get(held.address)
    button = element(browser, "button")
    choose(browser, "lr", tmp_path / "first.png")
    wait_for(button.is_enabled)
    button.click()
    wait_for(lambda: not button.is_enabled())
    choose(browser, "lr", tmp_path / "second.png")
    wait_for(lambda: "second.png" in element(browser, "#lr").text)
    assert not button.is_enabled()
    held.free.set()
    wait_for(lambda: element(browser, "#status").text == "done")
    assert element(browser, "#result a").get_attribute("download") == "first-upscaled.png"
    assert element(browser, "#size").text.split()[::2] == ["80", "64"]
    before = "return document.querySelector('compare-slider').shadowRoot.querySelector('.before').naturalWidth"
    assert browser.execute_script(before) == 20
    assert button.is_enabled()


def test_pages_break_no_rule_of_their_policies(browser, address):
    for path in ("/", "/docs"):
        browser.get(address + path)
        assert [line for line in browser.get_log("browser") if "Content Security Policy" in line["message"]] == []
