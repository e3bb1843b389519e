# SPDX-License-Identifier: GPL-2.0
"""Chromium, without a screen, with a static site and with the PHP application: no request may fail."""
import contextlib
import json
import shutil
import tempfile

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from apps import EXAMPLES

SITE, NOTES = "http://127.0.0.1:8080", "http://127.0.0.1:8081"
CONFIG = f"""
listen = {{ "127.0.0.1:8080", "127.0.0.1:8081" }}
pool site {{
	root = "{EXAMPLES}/site"
	prefixes = {{ "http://*:8080/" }}
}}
pool notes {{
	handler = fastcgi
	root = "{EXAMPLES}/php/site"
	fastcgi_front = "/index.php"
	exec = {{ "/usr/sbin/php-fpm8.2", "--nodaemonize", "--fpm-config", "{EXAMPLES}/php/php-fpm.conf" }}
	exec_stop = SIGQUIT
	environment = {{ "FPM_SOCKETS=/run/weir-php.sock=3" }}
	prefixes = {{ "http://*:8081/" }}
}}
"""


class Browser:
    """One Chromium with a profile of its own, and what its network did."""

    def __init__(self, driver):
        self.driver, self.asked, self.wrong, self.urls = driver, [], [], {}

    def note(self):
        """Takes what has happened since the last call."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            data = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                self.urls[data["requestId"]] = data["request"]["url"]
            elif message["method"] == "Network.responseReceived":
                response = data["response"]
                if not response["url"].startswith("http://127.0.0.1"):
                    continue
                from_cache = response.get("fromDiskCache") or response.get("fromPrefetchCache")
                self.asked.append((response["status"], response["url"], bool(from_cache)))
                if response["status"] >= 400:
                    self.wrong.append((response["status"], response["url"]))
            elif message["method"] == "Network.loadingFailed" and not data.get("canceled"):
                self.wrong.append((data["errorText"], self.urls.get(data["requestId"])))

    def visited(self):
        self.note()
        return {url for _, url, _ in self.asked}

    def wait(self, what, check):
        WebDriverWait(self.driver, 20).until(lambda driver: check(driver), what)

    def open(self, url):
        self.driver.get(url)
        self.wait(f"{url} is complete", lambda d: d.execute_script("return document.readyState") == "complete")

    def text(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click_through(self, selector):
        """Clicks what leads to another page, and waits for that."""
        page = self.find("html")
        self.find(selector).click()
        self.wait("another page", lambda d: self.find("html") != page and
                  d.execute_script("return document.readyState") == "complete")


@contextlib.contextmanager
def browsing():
    folder = tempfile.mkdtemp(prefix="weir_chromium_")
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--no-proxy-server", f"--user-data-dir={folder}"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    try:
        browser = Browser(driver)
        # the page that it starts with, somewhere in the Internet
        driver.get("about:blank")
        driver.get_log("performance")
        yield browser
        browser.note()
        assert not browser.wrong, browser.wrong
    finally:
        driver.quit()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def both(weir, data):
    return weir(config=CONFIG)


def look_around(browser):
    browser.open(f"{SITE}/")
    title = browser.driver.title
    browser.open(f"{SITE}/packets.html")
    browser.driver.back()
    browser.wait("the first page again", lambda d: d.title == title)
    browser.driver.forward()
    browser.driver.refresh()
    browser.open(f"{SITE}/docs/")
    browser.note()


def test_static_site_comes_from_the_kernel(both, netns):
    def visit():
        with browsing() as first:
            look_around(first)
            look_around(first)
            files = first.visited()
            assert {f"{SITE}/", f"{SITE}/style.css", f"{SITE}/packets.html", f"{SITE}/docs/"} <= files, files
        before = both.stat("kernel.hits")
        with browsing() as second:
            look_around(second)
            fetched = {url for status, url, is_local in second.asked if status == 200 and not is_local}
        hits = both.stat("kernel.hits") - before
        assert hits >= len(fetched) >= 4, f"{hits} kernel hits for {fetched}"

    netns.call(visit)


def write_note(browser, name, text):
    browser.find("#name").clear()
    browser.find("#name").send_keys(name)
    browser.find("#text").send_keys(text)
    browser.click_through("#send")


def test_php_application_with_forms_sessions_and_uploads(both, netns, tmp_path):
    picture = tmp_path / "picture.bin"
    picture.write_bytes(bytes(range(256)) * 2000)

    def visit():
        with browsing() as browser:
            browser.open(f"{NOTES}/")
            assert browser.text("h1") == "Notes"
            write_note(browser, "Ann", "From a browser: ä & <b>")
            assert browser.driver.current_url == f"{NOTES}/notes/0"
            assert browser.text("#said") == "Thank you." and browser.text("article p") == "From a browser: ä & <b>"
            browser.driver.refresh()
            assert browser.text("article h1") == "Ann" and not browser.driver.find_elements(By.CSS_SELECTOR, "#said")
            browser.driver.back()
            browser.wait("the list", lambda d: d.current_url == f"{NOTES}/")
            browser.driver.refresh()
            assert browser.find("#name").get_attribute("value") == "Ann", "the session"
            browser.click_through("#notes a")
            assert browser.driver.current_url == f"{NOTES}/notes/0"

            browser.open(f"{NOTES}/files.php")
            browser.find("#file").send_keys(str(picture))
            browser.click_through("#send")
            assert "picture.bin: 512000 bytes" in browser.text("#said")
            browser.open(f"{NOTES}/about.php")
            made = browser.text("#made")
            browser.open(f"{NOTES}/")
            browser.open(f"{NOTES}/about.php")
            assert browser.text("#made") == made, "the browser may keep it"
            assert browser.driver.execute_script("return document.documentElement.dataset.ready") == "yes"
            assert {f"{NOTES}/style.css", f"{NOTES}/page.js", f"{NOTES}/icon.svg"} <= browser.visited()
        before = both.stat("pools.notes.hits")
        with browsing() as other:
            other.open(f"{NOTES}/")
            assert "Ann" in other.text("#notes") and other.find("#name").get_attribute("value") == ""
        assert both.stat("pools.notes.hits") >= before + 2, "style.css and page.js come from the kernel"

    netns.call(visit)
