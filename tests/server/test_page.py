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
    button = element(browser, "#start")
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
    wait_for(element(browser, "#start").is_enabled)
    element(browser, "#start").click()
    wait_for(lambda: element(browser, "#status").text == "done")
    assert element(browser, "#result a").get_attribute("download") == "alone-upscaled.png"


def test_refusals_are_shown_on_the_page(browser, address, tmp_path):
    images.write(tmp_path / "large.png", np.zeros((60, 60, 3), np.uint8))
    browser.get(address)
    choose(browser, "lr", tmp_path / "large.png")
    choose(browser, "ref", tmp_path / "large.png")
    wait_for(element(browser, "#start").is_enabled)
    element(browser, "#start").click()
    status = element(browser, "#status")
    wait_for(lambda: "wrong" in status.get_attribute("class"))
    assert "photo has 60x60 pixels, more than the limit of 2,000" in status.text
    images.write(tmp_path / "small.png", np.zeros((16, 16, 3), np.uint8))
    choose(browser, "lr", tmp_path / "small.png")
    wait_for(lambda: status.text == "")  # with the next try it vanishes


def test_photos_are_removed_and_replaced_and_what_they_are_for_stays_said(browser, address, tmp_path, rng):
    for name in ("a", "b"):
        images.write(tmp_path / f"{name}.png", rng.random((16, 20, 3)))
    browser.get(address)
    for name in ("a", "b"):
        choose(browser, "lr", tmp_path / f"{name}.png")
        choose(browser, "ref", tmp_path / f"{name}.png")
    wait_for(lambda: len(browser.find_elements("css selector", "figure")) == 3)
    assert "a.png" not in element(browser, "#lr").text
    assert "Photo to upscale" in element(browser, "#lr").text
    element(browser, "#ref [aria-label='Remove a.png']").click()
    assert "a.png" not in element(browser, "#ref").text
    assert "b.png" in element(browser, "#ref").text
    element(browser, "#lr [aria-label='Remove b.png']").click()
    assert not element(browser, "#start").is_enabled()


def test_a_part_comes_first_and_what_comes_from_references_is_laid_over(browser, address, tmp_path, rng):
    lr = rng.integers(0, 256, (30, 40, 3), np.uint8)
    images.write(tmp_path / "lr.png", lr)
    images.write(tmp_path / "detail.png", images.bicubic(lr, (120, 160)))
    images.write(tmp_path / "other.png", rng.random((60, 80, 3)))
    browser.get(address)
    choose(browser, "lr", tmp_path / "lr.png")
    choose(browser, "ref", f"{tmp_path}/detail.png\n{tmp_path}/other.png")
    start, size = element(browser, "#start"), element(browser, "#size")
    wait_for(lambda: len(browser.find_elements("css selector", "figure")) == 3)
    photo = element(browser, "#lr .shown")
    drag = webdriver.ActionChains(browser).move_to_element(photo).click_and_hold()
    drag.move_by_offset(photo.size["width"] // 4, photo.size["height"] // 4).release().perform()
    assert start.text == "Upscale the part"
    start.click()
    wait_for(lambda: element(browser, "#status").text == "done")
    width, height = map(int, size.text.split()[::2])
    assert 28 <= width <= 52
    assert 20 <= height <= 44
    assert element(browser, "#result a").get_attribute("download") == "lr-part.png"
    photo.click()
    assert start.text == "Upscale"
    start.click()
    wait_for(lambda: size.text.split()[::2] == ["160", "120"])
    layer = "const layer = document.querySelector('compare-slider').image('layer');"
    shown = f"{layer} return [layer.hidden, layer.naturalWidth, layer.naturalHeight]"
    assert browser.execute_script(shown) == [True, 40, 30]
    element(browser, "#evidence input").click()
    assert browser.execute_script(shown) == [False, 40, 30]
    lines = element(browser, "#evidence ul").text.splitlines()
    assert [line.split(":")[0] for line in lines] == ["detail.png", "other.png"]


def test_work_can_be_cancelled(browser, held, tmp_path, rng):
    images.write(tmp_path / "lr.png", rng.random((16, 20, 3)))
    browser.get(held.address)
    choose(browser, "lr", tmp_path / "lr.png")
    wait_for(element(browser, "#start").is_enabled)
    assert not element(browser, "#cancel").is_displayed()
    element(browser, "#start").click()
    wait_for(element(browser, "#cancel").is_displayed)
    element(browser, "#cancel").click()
    wait_for(lambda: element(browser, "#status").text == "cancelled")
    assert element(browser, "#start").is_enabled()


def test_a_result_is_offered_under_the_name_of_its_own_photo(browser, address, tmp_path, rng, held):
    images.write(tmp_path / "first.png", rng.random((16, 20, 3)))
    images.write(tmp_path / "second.png", rng.random((30, 10, 3)))
    browser.get(held.address)
    button = element(browser, "#start")
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
